"""Models of other packages: where their cards lie."""

from benchmarks import peers


def test_a_second_call_finds_the_models_of_the_first(monkeypatch, tmp_path):
    peer = peers.Peer("theirs==1", (), {"name": "theirs"}, "faces")
    monkeypatch.setattr(peers, "PEERS", {"a": peer})
    monkeypatch.setattr(peers, "unpack", lambda peer, packages, folder: 7)
    first, second = (list(peers.sources(["a"], tmp_path, tmp_path / "out" / "models")) for _ in range(2))
    assert first == second and first[1] == ("theirs", tmp_path / "out" / "models" / "a" / "card.yaml", 7, "faces")
    assert first[1][1].exists()
