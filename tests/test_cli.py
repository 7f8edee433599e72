"""The command line: bad input ends in one clear sentence and a status, never in a traceback; doctor and inspect."""

import os
import re
import signal
import subprocess
import sys

import pytest
from support import fake_runs
from support.paths import ROOT

from edram_fer import cli, data, files, installation, startup
from edram_fer.preprocessing import datasets
from edram_fer.recipes import recipe

RECIPES = ", ".join(recipe.list_recipes())


@pytest.fixture
def run(capfd, monkeypatch):
    """run(*arguments) -> (exit status, output, the last line of what went to stderr)."""
    monkeypatch.delenv("EDRAM_FER_TRACEBACK", raising=False)

    def call(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        if isinstance(end.value.code, str):  # the interpreter would print it and exit with 1
            print(end.value.code, file=sys.stderr)
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        code = 1 if isinstance(end.value.code, str) else end.value.code or 0
        return code, out, (err.strip().splitlines() or [""])[-1]

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet"], f"error: recipe: expected one of {RECIPES}, got 'resnet'"),
        (["forch2019", "--set", "epoch=3"], "error: --set: unknown key 'epoch'; known are"),
        (["forch2019", "--set", "epochs"], "error: --set: expected key=value, got 'epochs'"),
        (["forch2019", "--set", "epochs=0"], "error: epochs: expected at least 1, got 0"),
        ([], f"expected a recipe ({RECIPES}) or --resume RUN, not both or none"),
        (["forch2019", "--resume", "runs/a"], f"expected a recipe ({RECIPES}) or --resume RUN"),
        (["--resume", "runs/a", "--set", "epochs=3"], "cannot be combined with --set or --out"),
        (["--resume", "runs/no such run"], "error: runs/no such run/recipe.json is missing"),
        (["forch2019", "--sett", "epochs=3"], "No such option: --sett"),
    ],
)
def test_bad_arguments_of_train(run, arguments, message):
    code, _, line = run("train", *arguments)
    assert code != 0 and message in line


def test_the_values_of_a_setting_are_varied_at_once(run):
    """Of two lists of values of one setting, one would be lost."""
    for words in (["--vary", "glimpses=1", "--vary", " glimpses =2"], ["--vary", "zoom_limit=1", "--zoom-limit", ".5"]):
        code, _, line = run("sweep", "zoom_free", *words, "--print-jobs")
        assert code == 1 and line.startswith("error: --vary: expected all values of ")
    assert run("sweep", "zoom_free", "--vary", "seed =1,2", "--print-jobs")[2].startswith(
        "error: sweep: the seed cannot"
    )


def test_options_out_of_range_name_the_argument(run, npz_file, tmp_path):
    settings = ["--set", f"data={npz_file}", "--set", "batch_size=8", "--out", tmp_path / "run"]
    code, _, line = run("train", "forch2019", *settings, "--set", "glimpses=0")
    assert code == 1 and line == "error: glimpses: expected a whole number of at least 1, got 0"
    code, _, line = run("train", "forch2019", *settings, "--set", "glimpses=100000")
    assert code == 1 and line == "error: glimpses: expected a whole number of at most 100, got 100000"
    code, _, line = run("train", "forch2019", *settings, "--set", "glimpse_filters=3")
    assert code == 1 and line == "error: glimpse_filters: expected 6 numbers of filters, got 3"
    code, _, line = run("train", "forch2019", *settings, "--set", "train_split=all", "--set", "model=cnn")
    assert code == 1 and "split: expected one of train, validation, test, got 'all'" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_command_with_a_sentence_and_without_temporary_files(run, tmp_path, monkeypatch, number):
    def interrupted(*arguments, **options):
        with files.replace(tmp_path / "rows.csv") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), number)

    monkeypatch.setattr(datasets, "prepare", interrupted)
    code, _, line = run("prepare", "folder", "--source", tmp_path, "--out", tmp_path)
    assert code == 128 + number and line == "Stopped. The same command starts again, or resumes."
    assert not os.listdir(tmp_path) and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_training_that_a_signal_stopped_says_how_to_resume(run, monkeypatch, number):
    from edram_fer.run import checkpoints
    from edram_fer.training import loop

    def stop(*arguments, **options):
        raise checkpoints.Interrupted("after epoch 3", number)

    monkeypatch.setattr(loop, "train", stop)
    code, _, line = run("train", "forch2019", "--out", "a run")
    assert code == 128 + number
    assert line == "Stopped and saved after epoch 3. Resume with: edram-fer train --resume 'a run'"


@pytest.mark.parametrize(("terminal", "quiet", "verbose"), [(True, [], "auto"), (True, ["--quiet"], 2), (False, [], 2)])
def test_only_a_terminal_has_a_progress_bar(run, monkeypatch, terminal, quiet, verbose):
    """In a file, each of its updates, up to 20 in a second, would stay."""
    from edram_fer.run import checkpoints
    from edram_fer.training import loop

    def stop(*arguments, **options):
        assert options["verbose"] == verbose
        raise checkpoints.Interrupted("", signal.SIGINT)

    monkeypatch.setattr(loop, "train", stop)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert run("train", "forch2019", "--out", "a run", *quiet)[0] == 128 + signal.SIGINT


def test_missing_data(run, tmp_path):
    code, _, line = run("train", "fer2013", "--data-dir", tmp_path, "--out", tmp_path / "run")
    assert code == 1 and f"error: data set fer2013 is not prepared in {tmp_path}" in line and "prepare it first" in line
    code, _, line = run("train", "fer2013", "--set", f"data={tmp_path}/faces.npz")
    assert code == 1 and line == f"error: {tmp_path}/faces.npz is missing; expected an NPZ file"
    code, _, line = run("inspect", tmp_path / "faces.npz")
    assert code == 1 and "faces.npz is missing" in line
    code, _, line = run("export-data", "faces", tmp_path / "faces.npz")
    assert code == 1 and "error: unknown data set 'faces'; known: " in line
    code, _, line = run("prepare", "fer2013", "--data-dir", tmp_path)
    assert code == 1 and "error: data set fer2013 needs a source" in line


@pytest.mark.parametrize("module", ["edram_fer", "edram_fer.cli"])
def test_the_version_is_shown_without_a_command(module):
    command = [sys.executable, "-m", module, "--version"]
    assert subprocess.check_output(command, cwd=ROOT, text=True) == f"edram-fer {installation.version()}\n"


def test_messages_hold_no_control_characters(run, tmp_path):
    code, _, line = run("train", "--resume", tmp_path / "\x1b[2Jrun")
    assert code == 1 and "\\x1b[2Jrun/recipe.json is missing" in line


def test_unwritable_places(run, npz_file, tmp_path):
    (tmp_path / "file").write_text("in the way")
    settings = ["--set", f"data={npz_file}", "--set", "batch_size=8"]
    code, _, line = run("train", "forch2019", *settings, "--out", tmp_path / "file" / "run")
    assert code == 1 and line.endswith(f"found the file {tmp_path}/file")
    code, _, line = run("export-data", npz_file, tmp_path / "file" / "a.npz")
    assert code == 1 and line.startswith(f"error: {tmp_path}/file")
    code, _, line = run("export-data", npz_file, tmp_path / "a.zip")
    assert code == 1 and line == f"error: {tmp_path}/a.zip: an NPZ file ends in .npz"


def test_missing_and_damaged_runs(run, copied, tmp_path):
    for command in (["evaluate", tmp_path], ["train", "--resume", tmp_path]):
        code, _, line = run(*command)
        assert code == 1 and line == f"error: {tmp_path}/recipe.json is missing"
    code, _, line = run("train", "forch2019", "--out", copied, "--set", "data=none")
    assert code == 1 and line.startswith("error: ")
    model = copied / "model.keras"
    model.write_bytes(model.read_bytes()[:3000])
    code, _, line = run("evaluate", copied, "--no-figures")
    assert code == 1 and line.startswith(f"error: {model} is damaged or not a .keras file: ")
    model.unlink()
    code, _, line = run("evaluate", copied, "--no-figures")
    assert code == 1 and line.startswith(f"error: {model} is missing; expected a run folder with model.keras")
    (copied / "recipe.json").write_text('{"name": ')
    code, _, line = run("train", "--resume", copied)
    assert code == 1 and line.startswith(f"error: {copied}/recipe.json") and "not readable as JSON" in line


def test_a_run_of_another_model(run, copied, trained):
    recipe = {**trained.recipe.to_json(), "options": {**trained.recipe.options, "head_units": 9}}
    files.write_json(copied / "recipe.json", recipe)
    environment = files.read_json(copied / "environment.json")
    files.write_json(copied / "environment.json", {k: v for k, v in environment.items() if k != "finished"})
    code, _, line = run("train", "--resume", copied)
    assert code == 1
    assert line.startswith(f"error: {copied}/checkpoints/latest.npz holds the state of another model or optimizer")


def test_the_traceback_of_a_bug_is_shown(monkeypatch, capsys):
    def describe(*args, **kwargs):
        raise ValueError("inside")

    monkeypatch.setattr(data, "describe", describe)
    with pytest.raises(SystemExit) as ending:
        cli.main(["inspect", "fer2013"])
    shown = capsys.readouterr().err
    assert "Traceback" in shown and "ValueError: inside" in shown
    assert str(ending.value).startswith("error: this is a bug in edram-fer")


@pytest.mark.slow
def test_the_scripts_end_with_the_same_sentence():
    call = [sys.executable, "train.py", "resnet"]
    settings = {**os.environ, "EDRAM_FER_TRACEBACK": ""}
    process = subprocess.run(call, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert process.stderr.strip().splitlines()[-1].startswith("error: recipe: expected one of")


def test_the_package_runs_as_a_module():
    process = subprocess.run([sys.executable, "-m", "edram_fer", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0 and "Usage: edram-fer [OPTIONS] COMMAND" in process.stdout


def test_doctor(run):
    code, out, _ = run("doctor")
    assert code == 0
    actual = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert actual["python"].startswith("3.") and actual["keras"].startswith("3.")
    assert actual["backend"] in ("tensorflow", "jax") and int(actual["cores"]) > 0 and ":0" in actual["devices"]


def test_doctor_of_a_checkout_that_is_not_installed(run, monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    code, out, _ = run("doctor")
    assert code == 0 and "extra" not in out


def test_without_a_backend_commands_say_what_to_install(run, monkeypatch, tmp_path):
    def missing():
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    monkeypatch.setattr(startup, "load_keras", missing)
    monkeypatch.setattr(installation, "missing_extras", lambda: {"faces": ["dlib-bin"], "tensorflow": ["tensorflow"]})
    code, out, _ = run("doctor")
    assert code == 0 and "not there: No module named 'tensorflow'" in out and "edram-fer[tensorflow]" in out
    fake_runs.write_run(tmp_path / "run", *fake_runs.random_run())
    for words in (("inspect", "fer2013"), ("report", tmp_path / "run"), ("figures", tmp_path / "run")):
        code, _, line = run(*words)
        assert code == 1 and "pip install 'edram-fer[tensorflow]'; or set KERAS_BACKEND=jax" in line


def test_inspect_data_and_run(run, npz_file, trained):
    code, out, _ = run("inspect", npz_file)
    assert code == 0 and "'fingerprint': 'abc'" in out and "test: sad 3, happy 3, contempt 3" in out
    code, out, _ = run("inspect", trained.run)
    assert code == 0 and "'batch_size': 14" in out and "'starts'" in out


def test_the_help_of_prepare_names_every_data_set(run):
    _, out, _ = run("prepare", "--help")
    assert set(datasets.NAMES) <= set(re.findall(r"\w+", out))
