import { classColour, covered, drawChart, drawFace, drawGlimpse, percent, stepColour, svg, toFace, toImage } from "./drawing.js";

const find = (id) => document.getElementById(id);
const OWN_LIMIT = 105; // position of the zoom slider that stands for the model's own limit
const CAMERA_SIDE = 640; // pixels: longer side of what the camera sends
const FILMS = /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|wmv|ogv|3g[p2]|m?ts|m2ts|flv|asf|dv|ivf|mxf|nut|rm|vob)$/i;
const HINTS = {
  look: "Choose a glimpse to see what the model saw, and what it guessed after it.",
  cover: "Brush over the face. By keyboard: focus the face, move with the arrow keys, cover with the space bar.",
  aim: "Draw a box on the face for the chosen glimpse. By keyboard: focus the face, move the glimpse with the arrow keys, "
    + "+ and − change its size, [ and ] turn it.",
};
const STEP_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const state = {
  models: {}, limits: {},
  input: null, // {file, name, film}: what was chosen; the image of the camera
  shown: null, // the input of what is shown; what was chosen may be unusable
  whole: false, // the whole image is the face
  frames: [], // answers of the server: one for a photo, several for a film
  frame: 0, face: 0, track: null,
  step: Infinity, // the chosen glimpse; the last one
  strokes: [], // covered parts, in pixels of the image
  windows: null, // set by hand, in pixels of the image
  cursor: null, // of the keyboard, in shares of the face
  playing: null, work: null, stream: null,
};
let panels = []; // one for each model that is shown

// ---- asking

async function ask(path, body, signal) {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(path, { method: "POST", body, signal });
    if (response.ok) return response;
    if (response.status === 503 && attempt < 20) {
      await new Promise((resolve) => setTimeout(resolve, 500 + 100 * attempt));
      continue;
    }
    const content = await response.json().catch(() => ({}));
    throw new Error(content.error ?? `the server answered with status ${response.status}`);
  }
}

function query(parameters) {
  const names = [find("model-0").value, find("model-1").value].filter((name, index, all) => name && all.indexOf(name) === index);
  return new URLSearchParams([...names.map((name) => ["model", name]), ...Object.entries(parameters)]);
}

function stopWork() {
  state.work?.abort();
  state.work = new AbortController();
  return state.work.signal;
}

function say(text) { find("status").textContent = text; }

function complain(error) {
  if (error?.name === "AbortError") return;
  say("");
  find("error").textContent = error.message === "Failed to fetch" ? "The server does not answer. Is it still running?" : error.message;
  find("error").hidden = false;
}

async function analyse(input) {
  const signal = stopWork();
  state.input = input;
  find("error").hidden = true;
  find("no-face").hidden = true;
  const most = input.film ? state.limits.film : state.limits.photo;
  if (input.file.size > most) {
    complain(new Error(`${input.name} has ${(input.file.size / 1e6).toFixed(0)} MB; expected at most ${most / 1e6} MB`));
    return;
  }
  say(input.film ? "Reading the video …" : "Looking for faces …");
  try {
    if (input.film) await analyseFilm(input, signal);
    else {
      const response = await ask(`api/predict?${query({ preview: 1, whole: Number(state.whole) })}`, input.file, signal);
      show([await response.json()], input);
    }
    const count = state.frames.length;
    say(input.film ? `${count} frame${count === 1 ? "" : "s"} of ${input.name}` : "");
  } catch (error) {
    complain(error);
  }
}

async function analyseFilm(input, signal) {
  const response = await ask(`api/video?${query({ whole: Number(state.whole) })}`, input.file, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const frames = [];
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const content = JSON.parse(line);
      if (content.end) {
        complain(new Error(`${input.name}: ${content.end}`));
        continue;
      }
      frames.push(content);
      if (frames.length === 1) show(frames, input);
      else if (state.frames === frames) drawFilm();
      say(`Reading the video … ${frames.length} frames, ${content.time.toFixed(1)} s`);
    }
  }
}

async function toggleCamera() {
  if (state.stream) {
    stopCamera();
    return;
  }
  if (!navigator.mediaDevices) {
    complain(new Error("browsers open the camera only for https or for the machine itself (127.0.0.1)"));
    return;
  }
  find("error").hidden = true;
  const signal = stopWork();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
  } catch (error) {
    complain(new Error(`the camera cannot be used: ${error.message}`));
    return;
  }
  if (signal.aborted) { // meanwhile there was another click, or a file
    stop(stream);
    return;
  }
  state.stream = stream;
  find("camera").textContent = "Stop the camera";
  say("The camera is on. Stop it to keep the image.");
  state.whole = false;
  const video = document.createElement("video"), canvas = document.createElement("canvas");
  Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
  try {
    await video.play();
    const scale = Math.min(1, CAMERA_SIDE / Math.max(video.videoWidth, video.videoHeight));
    [canvas.width, canvas.height] = [video.videoWidth * scale, video.videoHeight * scale];
    while (state.stream === stream && !signal.aborted) {
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const file = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
      const answer = await (await ask(`api/predict?${query({})}`, file, signal)).json();
      answer.preview = canvas.toDataURL("image/jpeg", 0.9);
      state.input = { file, name: "camera", film: false };
      show([answer], state.input, true);
    }
  } catch (error) {
    complain(error);
  }
  if (state.stream === stream) stopCamera();
}

function stop(stream) { stream?.getTracks().forEach((track) => track.stop()); }

function stopCamera() {
  stop(state.stream);
  state.stream = null;
  find("camera").textContent = "Use the camera";
  if (find("status").textContent.startsWith("The camera")) say("");
}

// ---- what is shown

const frame = () => state.frames[state.frame];
const current = (panel) => panel.changed ?? panel.face;
const isAimed = () => state.windows !== null;
const zoomLimit = () => (Number(find("zoom").value) === OWN_LIMIT ? null : Number(find("zoom").value) / 100);
const glimpses = () => Number(find("glimpses").value);
const isChanged = (panel) => state.strokes.length || zoomLimit() !== null || glimpses() < panel.model.steps || isAimed();

function centre([left, top, width, height]) { return [left + width / 2, top + height / 2]; }

// The face of an answer that is the same as the one with this box.
function nearest(faces, box) {
  const [x, y] = centre(box);
  const distance = (face) => Math.hypot(centre(face.box)[0] - x, centre(face.box)[1] - y);
  const best = faces.reduce((one, other) => (one && distance(one) <= distance(other) ? one : other), null);
  return best && distance(best) < box[2] ? best : null;
}

function show(frames, input, live = false) {
  const box = live && chosenFace()?.box;
  state.frames = frames;
  state.shown = input;
  state.frame = 0;
  if (!live) {
    state.strokes = [];
    state.windows = null;
    state.track = null; // of the chosen face in a film
    state.step = Infinity; // the last one
  }
  find("results").hidden = false;
  find("film").hidden = !input.film;
  find("notice").textContent = state.notice;
  makePanels(frames[0].answers.map((answer) => answer.model));
  showFrame(box);
  if (input.film) drawFilm();
}

function makePanels(names) {
  if (names.join("\n") === panels.map((panel) => panel.name).join("\n")) return;
  panels = names.map((name) => {
    const element = find("panel").content.cloneNode(true).firstElementChild;
    element.querySelector("h2").textContent = name;
    const panel = { name, element, model: state.models[name], canvas: element.querySelector(".face") };
    listen(panel);
    return panel;
  });
  find("panels").replaceChildren(...panels.map((panel) => panel.element));
  const steps = Math.max(...panels.map((panel) => panel.model.steps));
  Object.assign(find("glimpses"), { max: steps, value: steps, disabled: steps === 1 });
  const takeWindows = panels.some((panel) => panel.model.takes_windows);
  find("zoom").disabled = !takeWindows;
  document.querySelector("[value=aim]").disabled = !takeWindows;
  if (!takeWindows && mode() === "aim") document.querySelector("[value=look]").checked = true;
  showSettings();
}

const chosenFace = () => frame()?.answers[0].faces[state.face];

function showFrame(box = null) {
  const answers = frame().answers, faces = answers[0].faces;
  const same = faces.findIndex((face) => face.track && face.track === state.track);
  if (same >= 0) state.face = same;
  else if (box) state.face = Math.max(0, faces.indexOf(nearest(faces, box)));
  state.face = Math.min(state.face, Math.max(faces.length - 1, 0));
  find("preview").src = frame().preview;
  find("boxes").setAttribute("viewBox", `0 0 ${frame().width} ${frame().height}`);
  const boxes = fit(find("boxes"), faces.length, faceBox), buttons = fit(find("faces"), faces.length, faceButton);
  for (const [index, face] of faces.entries()) {
    ["x", "y", "width", "height"].forEach((name, side) => boxes[index].setAttribute(name, face.box[side]));
    buttons[index].firstChild.src = face.crop;
    buttons[index].lastChild.textContent = `${index + 1}: ${face.emotion} ${percent(face.confidence)}`;
  }
  const found = faces.length > 0;
  find("no-face").hidden = found;
  find("no-face").firstElementChild.textContent = answers[0].status === "no_face" ? "No face was found." : answers[0].status;
  find("whole").hidden = state.whole || Boolean(state.stream);
  find("tools").hidden = find("panels").hidden = find("notice").hidden = !found;
  if (found) showFace();
}

// As many children as needed. Those that are there stay: with the camera, they would lose focus and clicks at each frame.
function fit(parent, count, make) {
  while (parent.children.length < count) parent.append(make(parent.children.length));
  while (parent.children.length > count) parent.lastChild.remove();
  return [...parent.children];
}

function faceBox(index) {
  const rectangle = svg("rect", {});
  rectangle.addEventListener("click", () => choose(index));
  return rectangle;
}

function faceButton(index) {
  const button = document.createElement("button"), image = new Image();
  button.type = "button";
  image.alt = "";
  button.append(image, document.createElement("span"));
  button.addEventListener("click", () => choose(index));
  return button;
}

function choose(index) {
  if (index !== state.face) {
    state.strokes = [];
    state.windows = null;
  }
  state.face = index;
  showFace();
  if (state.shown.film) drawFilm();
}

async function showFace() {
  for (const [index, button] of [...find("faces").children].entries()) button.setAttribute("aria-pressed", index === state.face);
  for (const [index, box] of [...find("boxes").children].entries()) box.classList.toggle("chosen", index === state.face);
  const box = chosenFace().box;
  state.track = chosenFace().track;
  await Promise.all(panels.map(async (panel, index) => {
    const face = nearest(frame().answers[index].faces, box);
    panel.element.hidden = !face;
    if (face === panel.face) return;
    panel.face = face;
    panel.changed = null;
    if (!face) return;
    const crop = new Image();
    crop.src = face.crop;
    await crop.decode();
    if (panel.face === face) panel.crop = crop;
  }));
  changed();
}

// Something was changed: show it at once, and ask the models.
function changed() {
  showSettings();
  for (const panel of panels) {
    if (!panel.face || !panel.crop) continue;
    if (isChanged(panel)) follow(panel);
    else {
      panel.changed = null;
      panel.stale = false;
    }
    draw(panel);
  }
}

// Ask a model again, one question at a time; what changes meanwhile is asked afterwards.
async function follow(panel) {
  panel.stale = true;
  if (panel.asking) return;
  panel.asking = true;
  panel.element.setAttribute("aria-busy", true);
  try {
    while (panel.stale) {
      panel.stale = false;
      const face = panel.face;
      const content = { model: panel.name, face: covered(panel.crop, state.strokes, face.box).toDataURL() };
      if (face.landmarks) content.landmarks = face.landmarks;
      content.glimpses = Math.min(glimpses(), panel.model.steps);
      if (panel.model.takes_windows) {
        if (isAimed()) content.windows = aimed(panel).map((window) => toFace(window, face.box));
        else if (zoomLimit() !== null) content.zoom_limit = zoomLimit();
      }
      const answer = await (await ask("api/face", JSON.stringify(content))).json();
      if (panel.face === face && isChanged(panel)) {
        panel.changed = answer;
        draw(panel);
      }
    }
  } catch (error) {
    complain(error);
  } finally {
    panel.asking = false;
    panel.element.setAttribute("aria-busy", false);
  }
}

// The windows set by hand, as many as the model has; for a model with one window, the chosen one.
function aimed(panel) {
  const chosen = Math.min(state.step, state.windows.length - 1), count = panel.model.windows;
  return count === 1 ? [state.windows[chosen]] : Array.from({ length: count }, (_, index) => state.windows[index % state.windows.length]);
}

const mode = () => document.querySelector("[name=mode]:checked").value;

function showSettings() {
  const limit = zoomLimit();
  find("zoom-value").textContent = isAimed() ? "as set" : limit === null ? "its own" : percent(limit);
  find("glimpses-value").textContent = find("glimpses").disabled ? "one answer" : `${glimpses()} of ${find("glimpses").max}`;
  find("hint").textContent = HINTS[mode()];
  find("brush-row").hidden = mode() !== "cover";
  find("undo").disabled = !state.strokes.length;
  for (const panel of panels) {
    panel.canvas.classList.toggle("editing", mode() !== "look");
  }
}

function shownWindows(panel) {
  if (!panel.model.takes_windows) return [];
  return (isAimed() ? aimed(panel).map((window) => toFace(window, panel.face.box)) : current(panel).windows)
    .slice(0, panel.model.recurrent ? glimpses() : undefined);
}

function draw(panel) {
  const { model, face, crop, element, canvas } = panel, answer = current(panel);
  const windows = shownWindows(panel), step = Math.min(state.step, Math.max(windows.length, answer.steps.length) - 1);
  const probabilities = answer.steps[Math.min(step, answer.steps.length - 1)];
  const best = probabilities.indexOf(Math.max(...probabilities)), before = face.steps.at(-1);
  const small = document.createElement("small");
  const isLast = step >= answer.steps.length - 1;
  small.textContent = [
    isLast ? "" : `after glimpse ${step + 1}`,
    panel.changed ? `before the change: ${face.emotion} ${percent(face.confidence)}` : "",
  ].filter(Boolean).join("; ");
  element.querySelector(".answer").replaceChildren(`${model.classes[best]} ${percent(probabilities[best])}`, small);

  const shown = covered(crop, state.strokes, face.box);
  const smooth = { width: crop.naturalWidth, height: crop.naturalHeight };
  canvas.height = Math.round(canvas.width * smooth.height / smooth.width);
  drawFace(canvas, shown, windows, step, mode() === "cover" && document.activeElement === canvas ? state.cursor : null);
  canvas.setAttribute("aria-label", `Face, ${windows.length ? `${windows.length} glimpses` : "seen as a whole"}`);

  const buttons = fit(element.querySelector(".glimpses"), windows.length, glimpseButton);
  windows.forEach((window, index) => {
    const button = buttons[index];
    drawGlimpse(button.querySelector("canvas"), shown, window);
    button.setAttribute("aria-pressed", index === step);
    const after = answer.steps.length === windows.length ? answer.steps[index] : null;
    const top = after && after.indexOf(Math.max(...after));
    button.lastChild.textContent = after ? `${index + 1}: ${model.classes[top]} ${percent(after[top])}`
      : `${index + 1}: weight ${percent(answer.weights[index])}`;
  });

  const rows = model.classes.map((name, index) => bar(name, index, probabilities[index], panel.changed && before[index], index === best));
  element.querySelector(".bars tbody").replaceChildren(...rows);
  const affect = answer.affect?.[Math.min(step, answer.steps.length - 1)];
  element.querySelector(".bars caption").textContent = [
    model.calibrated ? "Calibrated probabilities" : "Probabilities (not calibrated)",
    affect ? `valence ${affect[0].toFixed(2)}, arousal ${affect[1].toFixed(2)}` : "",
    panel.changed ? "the mark is the answer before the change" : "",
  ].filter(Boolean).join("; ");

  const chart = element.querySelector(".chart");
  chart.toggleAttribute("hidden", answer.steps.length < 2);
  if (answer.steps.length > 1) {
    const series = model.classes.map((name, index) => ({
      name, colour: classColour(name, index), values: answer.steps.map((values) => values[index]) }));
    const ticks = answer.steps.map((_, index) => index + 1);
    drawChart(chart, series, ticks, step, { axis: "after glimpse, in %", ticks });
    chart.setAttribute("aria-label", "Probabilities after each glimpse");
  }
}

function glimpseButton(index) {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 160, height: 160 });
  canvas.style.setProperty("--colour", stepColour(index));
  button.type = "button";
  button.append(canvas, document.createElement("span"));
  button.addEventListener("click", () => toStep(index));
  return button;
}

function bar(name, index, value, before, isBest) {
  const row = document.createElement("tr"), head = document.createElement("th"), box = document.createElement("div");
  head.scope = "row";
  head.textContent = name;
  box.className = "bar";
  box.style.setProperty("--colour", classColour(name, index));
  const fill = document.createElement("i");
  fill.style.width = `${100 * value}%`;
  box.append(fill);
  if (before !== null && before !== undefined) {
    const mark = document.createElement("b");
    mark.style.left = `${100 * before}%`;
    box.append(mark);
  }
  const [middle, number] = [document.createElement("td"), document.createElement("td")];
  middle.append(box);
  number.textContent = `${(100 * value).toFixed(1)} %`;
  row.classList.toggle("best", isBest);
  row.append(head, middle, number);
  return row;
}

function toStep(step) {
  state.step = step;
  if (isAimed()) changed(); // a model with one window is asked with the chosen one
  else for (const panel of panels) if (panel.face && panel.crop) draw(panel);
}

function play() {
  if (state.playing) {
    clearInterval(state.playing);
    state.playing = null;
    find("play").textContent = "Play";
    return;
  }
  const count = Math.max(...panels.filter((panel) => panel.face).map((panel) => Math.max(shownWindows(panel).length, 1)));
  find("play").textContent = "Stop";
  toStep(0);
  state.playing = setInterval(() => (state.step + 1 < count ? toStep(state.step + 1) : play()), 900);
}

// ---- films

// The chosen face in all frames, null where it is missing.
function followed() {
  const track = chosenFace()?.track ?? state.track;
  return state.frames.map((one) => one.answers[0].faces.find((face) => face.track === track) ?? null);
}

function drawFilm() {
  Object.assign(find("frame"), { max: state.frames.length - 1, value: state.frame });
  find("time").textContent = `${frame().time.toFixed(2)} s`;
  const faces = followed(), names = state.models[frame().answers[0].model].classes;
  const series = names.map((name, index) => ({
    name, colour: classColour(name, index), values: faces.map((face) => face && face.steps.at(-1)[index]) }));
  const times = state.frames.map((one) => one.time);
  drawChart(find("film-chart"), series, times, state.frame, { axis: "seconds, in %", ticks: [times[0], times.at(-1)].map((time) => Math.round(10 * time) / 10) });
}

// ---- covering, and setting glimpses

function listen(panel) {
  const { canvas } = panel;
  let start = null;
  const place = (event) => {
    const area = canvas.getBoundingClientRect(), [left, top, width, height] = panel.face.box;
    return [left + (event.clientX - area.left) / area.width * width, top + (event.clientY - area.top) / area.height * height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (mode() === "look" || !event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    start = place(event);
    if (mode() === "cover") brush(...start, panel.face.box[2], false);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!start) return;
    const [x, y] = place(event);
    if (mode() === "cover") {
      brush(x, y, panel.face.box[2], true);
    } else if (Math.hypot(x - start[0], y - start[1]) > panel.face.box[2] / 50 && panel.model.takes_windows) {
      aim(panel, [[Math.max(Math.abs(x - start[0]) / 2, 1e-3), 0, (x + start[0]) / 2], [0, Math.max(Math.abs(y - start[1]) / 2, 1e-3), (y + start[1]) / 2]]);
    }
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { start = null; });
  canvas.addEventListener("keydown", (event) => {
    // Many keyboards have [ and ] on AltGr, which counts as Ctrl and Alt.
    const isShortcut = event.metaKey || (event.altKey ? !"[]".includes(event.key) : event.ctrlKey);
    if (panel.face && !isShortcut && press(panel, event.key)) event.preventDefault();
  });
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => panel.face && panel.crop && draw(panel));
}

// Cover a circle; `joined`: also the way from the last one to it.
function brush(x, y, side, joined) {
  const stroke = { x, y, radius: Number(find("brush").value) / 200 * side, colour: find("colour").value, joined };
  const last = state.strokes.at(-1);
  if (joined && last) {
    const count = Math.ceil(Math.hypot(x - last.x, y - last.y) / (stroke.radius / 2));
    for (let i = 1; i < count; i++) {
      state.strokes.push({ ...stroke, x: last.x + (x - last.x) * i / count, y: last.y + (y - last.y) * i / count });
    }
  }
  state.strokes.push(stroke);
  changed();
}

function undo() {
  while (state.strokes.length && state.strokes.pop().joined);
  changed();
}

function aim(panel, window) {
  const windows = isAimed() ? state.windows : current(panel).windows.map((one) => toImage(one, panel.face.box));
  // With fewer glimpses than the model has, the last windows are not shown.
  const shown = panel.model.recurrent ? Math.min(windows.length, glimpses()) : windows.length;
  state.windows = windows.with(Math.min(state.step, shown - 1), window);
  changed();
}

// A key on a face. Returns whether it meant something.
function press(panel, key) {
  const side = panel.face.box[2], [left, top] = panel.face.box;
  if (mode() === "cover") {
    const cursor = state.cursor ??= { x: 0.5, y: 0.5 };
    cursor.radius = Number(find("brush").value) / 200;
    if (key in STEP_KEYS) {
      cursor.x = Math.min(1, Math.max(0, cursor.x + STEP_KEYS[key][0] / 24));
      cursor.y = Math.min(1, Math.max(0, cursor.y + STEP_KEYS[key][1] / 24));
      draw(panel);
    } else if (key === " " || key === "Enter") brush(left + cursor.x * side, top + cursor.y * side, side, false);
    else if (key === "Backspace") undo();
    else return false;
    return true;
  }
  if (mode() !== "aim" || !panel.model.takes_windows) return false;
  const step = Math.min(state.step, shownWindows(panel).length - 1);
  const [r1, r2] = toImage(shownWindows(panel)[step], panel.face.box).map((row) => [...row]);
  const size = { "+": 1.1, "=": 1.1, "-": 1 / 1.1 }[key], angle = { "[": -Math.PI / 24, "]": Math.PI / 24 }[key];
  if (key in STEP_KEYS) {
    r1[2] += STEP_KEYS[key][0] * side / 24;
    r2[2] += STEP_KEYS[key][1] * side / 24;
  } else if (size) {
    for (const row of [r1, r2]) [row[0], row[1]] = [row[0] * size, row[1] * size];
  } else if (angle) {
    const [c, s] = [Math.cos(angle), Math.sin(angle)], [[a, b], [d, e]] = [r1, r2];
    [r1[0], r1[1], r2[0], r2[1]] = [c * a - s * d, c * b - s * e, s * a + c * d, s * b + c * e];
  } else return false;
  aim(panel, [r1, r2]);
  return true;
}

// ---- numbers

function csv() {
  const classes = [...new Set(panels.flatMap((panel) => panel.model.classes))];
  const matrix = ["a0", "a1", "a2", "a3", "a4", "a5"];
  const rows = [["source", "time", "model", "face", "left", "top", "width", "height", "change", "step", "emotion", ...classes, "valence", "arousal", ...matrix]];
  const add = (time, model, number, face, answer, change) => {
    for (let step = 0; step < Math.max(answer.steps.length, answer.windows.length); step++) {
      const values = answer.steps[answer.steps.length === 1 ? 0 : step], affect = answer.affect?.[answer.affect.length === 1 ? 0 : step] ?? ["", ""];
      rows.push([
        state.shown.name, time ?? "", model.name, number, ...face.box, change, step + 1, model.classes[values.indexOf(Math.max(...values))],
        ...classes.map((name) => values[model.classes.indexOf(name)] ?? ""), ...affect, ...(answer.windows[step]?.flat() ?? matrix.map(() => "")),
      ]);
    }
  };
  for (const one of state.frames) {
    for (const answer of one.answers) {
      answer.faces.forEach((face, index) => add(one.time, state.models[answer.model], index + 1, face, face, ""));
    }
  }
  for (const [index, panel] of panels.entries()) {
    if (!panel.changed) continue;
    const number = frame().answers[index].faces.indexOf(panel.face) + 1;
    const change = [
      state.strokes.length ? "covered" : "", isAimed() ? "glimpses set by hand" : "",
      !isAimed() && zoomLimit() !== null ? `zoom limit ${zoomLimit()}` : "", `${panel.changed.steps.length} steps`,
    ].filter(Boolean).join(", ");
    add(frame().time, panel.model, number, panel.face, panel.changed, change);
  }
  // A spreadsheet would execute a text that begins like a formula.
  const cell = (value) => (typeof value === "number" ? value : `"${String(value).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }));
  link.download = "edram-fer.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// ---- the controls

function open(file) {
  if (!file) return;
  stopCamera();
  state.whole = false;
  analyse({ file, name: file.name ?? "image", film: file.type.startsWith("video/") || FILMS.test(file.name) });
}

function again() {
  if (state.input && !state.stream) analyse(state.input);
}

find("file").addEventListener("change", (event) => {
  open(event.target.files[0]);
  event.target.value = ""; // the same file can be chosen again
});
find("camera").addEventListener("click", toggleCamera);
find("whole").addEventListener("click", () => {
  state.whole = true;
  again();
});
for (const id of ["model-0", "model-1"]) find(id).addEventListener("change", again);
for (const id of ["zoom", "glimpses"]) find(id).addEventListener("input", changed);
for (const input of document.querySelectorAll("[name=mode]")) input.addEventListener("change", changed);
find("frame").addEventListener("input", () => {
  const box = chosenFace()?.box;
  state.frame = Number(find("frame").value);
  state.strokes = [];
  state.windows = null;
  showFrame(box);
  drawFilm();
});
find("play").addEventListener("click", play);
find("undo").addEventListener("click", undo);
find("reset").addEventListener("click", () => {
  Object.assign(state, { strokes: [], windows: null, cursor: null, step: Infinity });
  find("zoom").value = OWN_LIMIT;
  find("glimpses").value = find("glimpses").max;
  changed();
});
find("csv").addEventListener("click", csv);
document.addEventListener("paste", (event) => open([...event.clipboardData.files][0]));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") open(event.dataTransfer.files[0]);
  });
}

const about = await (await fetch("api/models")).json();
state.limits = about.limits;
state.notice = about.notice;
for (const model of about.models) {
  state.models[model.name] = model;
  for (const id of ["model-0", "model-1"]) find(id).append(new Option(model.name));
}
find("model-1").prepend(new Option("no other", ""));
find("model-1").value = "";
find("beside").hidden = about.models.length < 2;
