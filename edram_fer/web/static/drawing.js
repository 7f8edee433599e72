// Geometry and drawing. Windows are matrices [[a0, a1, a2], [a3, a4, a5]] that map [-1, 1]^2 of a glimpse onto the face's.

const STEPS = ["#2563a8", "#d97706", "#0f8a5f", "#b3261e", "#7c3aed", "#0891b2"];
const CLASSES = {
  neutral: "#6b7280", happy: "#d99a00", sad: "#2563a8", surprise: "#d9600f", fear: "#7c3aed",
  disgust: "#3f8f29", anger: "#b3261e", contempt: "#0891b2",
};
const FURTHER = ["#2563a8", "#d97706", "#0f8a5f", "#b3261e", "#7c3aed", "#0891b2", "#6b7280", "#be3a86", "#3f8f29"];
const SVG = "http://www.w3.org/2000/svg";

export const stepColour = (step) => STEPS[step % STEPS.length];
export const classColour = (name, index) => CLASSES[name] ?? FURTHER[index % FURTHER.length];
export const percent = (value) => `${Math.round(100 * value)} %`;

export function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

export const point = ([[a, b, c], [d, e, f]], x, y) => [a * x + b * y + c, d * x + e * y + f];

// A window of a face in pixels of the image, and back; box = [left, top, width, height].
export const toImage = ([r1, r2], [left, top, width, height]) => [
  [r1[0] * width / 2, r1[1] * width / 2, left + (r1[2] + 1) * width / 2],
  [r2[0] * height / 2, r2[1] * height / 2, top + (r2[2] + 1) * height / 2],
];
export const toFace = ([r1, r2], [left, top, width, height]) => [
  [r1[0] * 2 / width, r1[1] * 2 / width, (r1[2] - left) * 2 / width - 1],
  [r2[0] * 2 / height, r2[1] * 2 / height, (r2[2] - top) * 2 / height - 1],
];

// Cover a face: strokes are circles {x, y, radius, colour} in pixels of the image.
export function cover(context, strokes, [left, top, width], size) {
  for (const { x, y, radius, colour } of strokes) {
    context.fillStyle = colour;
    context.beginPath();
    context.arc((x - left) / width * size, (y - top) / width * size, radius / width * size, 0, 2 * Math.PI);
    context.fill();
  }
}

// The face at the model's size, with its covered parts, as a PNG data URL.
export function covered(crop, strokes, box) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [crop.naturalWidth, crop.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(crop, 0, 0);
  cover(context, strokes, box, canvas.width);
  return canvas;
}

// Face coordinates in [-1, 1] (of the centres of the corner pixels) to pixels of a canvas.
const onCanvas = (value, pixels, size) => ((value + 1) / 2 * (pixels - 1) + 0.5) / pixels * size;

export function drawFace(canvas, face, windows, step, cursor) {
  const context = canvas.getContext("2d"), size = canvas.width;
  const place = (window, x, y) => {
    const [u, v] = point(window, x, y);
    return [onCanvas(u, face.width, size), onCanvas(v, face.height, size)];
  };
  context.imageSmoothingQuality = "high";
  context.drawImage(face, 0, 0, size, size);
  const line = (points, colour, width, dash = []) => {
    for (const [style, extra] of [["#ffffffc0", 3], [colour, 0]]) {
      context.strokeStyle = style;
      context.lineWidth = width + extra;
      context.setLineDash(extra ? [] : dash);
      context.beginPath();
      points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.stroke();
    }
  };
  windows.forEach((window, index) => {
    const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]].map(([x, y]) => place(window, x, y));
    context.globalAlpha = index === step ? 1 : index < step ? 0.55 : 0.25;
    line(corners, stepColour(index), index === step ? 4 : 2, index > step ? [6, 6] : []);
  });
  context.globalAlpha = 1;
  const centres = windows.map((window) => place(window, 0, 0));
  if (step > 0) line(centres.slice(0, step + 1), "#1d2733", 2);
  centres.slice(0, step + 1).forEach(([x, y], index) => {
    context.fillStyle = stepColour(index);
    context.beginPath();
    context.arc(x, y, 13, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#fff";
    context.font = "bold 16px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(index + 1, x, y + 1);
  });
  if (cursor) line(Array.from({ length: 33 }, (_, i) => [
    cursor.x * size + cursor.radius * size * Math.cos(i * Math.PI / 16),
    cursor.y * size + cursor.radius * size * Math.sin(i * Math.PI / 16)]), "#1d2733", 2);
}

// The part of the face in a window, enlarged to the canvas.
export function drawGlimpse(canvas, face, [[a, b, c], [d, e, f]]) {
  const context = canvas.getContext("2d"), size = canvas.width, determinant = a * e - b * d;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#c9d0d8";
  context.fillRect(0, 0, size, size);
  if (Math.abs(determinant) < 1e-6) return;
  const scale = [2 / (face.width - 1), 2 / (face.height - 1)], half = size / 2;
  // A pixel p of the face lies at x = (p - 0.5) * scale - 1; a place g in the glimpse at (g + 1) * size / 2.
  const x0 = -1 - scale[0] / 2 - c, y0 = -1 - scale[1] / 2 - f;
  const inverse = [[e / determinant, -b / determinant], [-d / determinant, a / determinant]];
  context.setTransform(
    inverse[0][0] * scale[0] * half, inverse[1][0] * scale[0] * half,
    inverse[0][1] * scale[1] * half, inverse[1][1] * scale[1] * half,
    (inverse[0][0] * x0 + inverse[0][1] * y0 + 1) * half, (inverse[1][0] * x0 + inverse[1][1] * y0 + 1) * half);
  context.imageSmoothingQuality = "high";
  context.drawImage(face, 0, 0);
}

// Lines of probabilities: series {name, colour, values}, at the places `xs`; a mark at xs[at].
export function drawChart(element, series, xs, at, label) {
  const [width, height, left, right, top, bottom] = [440, 210, 34, 78, 8, 40];
  const low = xs[0], range = xs.at(-1) - low || 1;
  const x = (value) => left + (value - low) / range * (width - left - right);
  const y = (value) => top + (1 - value) * (height - top - bottom);
  element.setAttribute("viewBox", `0 0 ${width} ${height}`);
  element.replaceChildren();
  for (const value of [0, 0.5, 1]) {
    element.append(svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), stroke: "#dfe4ea" }));
    element.append(svg("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, 100 * value));
  }
  element.append(svg("line", { x1: x(xs[at]), x2: x(xs[at]), y1: top, y2: height - bottom, stroke: "#9aa4ae", "stroke-dasharray": "3 3" }));
  element.append(svg("text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" }, label.axis));
  for (const value of label.ticks ?? []) {
    element.append(svg("text", { x: x(value), y: height - bottom + 17, "text-anchor": "middle" }, value));
  }
  const last = (line) => line.values.findLast((value) => value !== null) ?? 0;
  // Names are so far apart that they can be read: from the lowest upwards.
  let free = height - bottom + 10;
  for (const line of [...series].sort((one, other) => last(one) - last(other))) {
    const points = line.values.map((value, index) => (value === null ? null : `${x(xs[index])},${y(value)}`));
    const parts = points.reduce((all, next) => (next ? all.at(-1).push(next) : all.push([]), all), [[]]);
    for (const part of parts) {
      element.append(svg("polyline", { points: part.join(" "), fill: "none", stroke: line.colour, "stroke-width": 2 }));
      if (part.length === 1 || xs.length < 12) {
        for (const place of part) {
          const [cx, cy] = place.split(",");
          element.append(svg("circle", { cx, cy, r: 3, fill: line.colour }));
        }
      }
    }
    const text = Math.min(y(last(line)) + 4, free);
    free = text - 13;
    const name = svg("text", { x: width - right + 8, y: text }, line.name);
    name.style.fill = line.colour;
    element.append(name);
  }
}
