"""Teaching things: the folder they are kept in, cutting them out, and the node that is told."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.calibration.footage import Shot
from deixis.calibration.store import save_camera
from deixis.nodes.objects import gallery_folder
from deixis.nodes.objects.embedding import CropEmbedder, open_embedder
from deixis.nodes.objects.gallery import Gallery, embed_views
from deixis.nodes.objects.gallery_folder import Entry, GalleryFolder, noun_and_colour
from deixis.nodes.objects.names.choosing import choose_views
from deixis.nodes.objects.names.cutting import TableCutter, cut, cut_plain, cut_whole, read_picture
from deixis.nodes.objects.names.likeness import leave_one_out, too_alike
from deixis.nodes.objects.node import ObjectsNode
from deixis.nodes.objects.tabletop import TabletopParams
from deixis.nodes.objects.view_cache import FILE, ViewCache
from deixis.nodes.objects.views import stored_view
from deixis.nodes.objects.workspace import Workspace
from deixis.nodes.speech.grammar import open_grammar
from deixis.nodes.speech.livenames import LiveNames
from deixis.runtime.errors import ConfigError, MediaError
from deixis.runtime.messages import Header, Teach
from deixis.runtime.testing import NodeBench
from tests.nodes.objects.pictures import WORKSPACE, Drum, add_arm, camera, frame, table

RED, BLUE, GREEN = (30, 30, 190), (170, 70, 30), (60, 130, 20)


def photo(bgr: tuple[int, int, int] = RED, shape: str = "ball", size: int = 70) -> np.ndarray:
    """A thing on a plain surface in uneven light, with sensor noise."""
    picture = np.full((240, 320, 3), (150, 158, 164), np.uint8)
    if shape == "ball":
        cv2.circle(picture, (160, 120), size // 2, bgr, -1, cv2.LINE_AA)
        dark = tuple(int(c * 0.6) for c in bgr)
        cv2.circle(picture, (150, 130), size // 5, dark, -1, cv2.LINE_AA)
    else:
        half = size // 2
        cv2.rectangle(picture, (160 - half, 120 - half), (160 + half, 120 + half), bgr, -1)
        lid = tuple(int(min(255, c * 1.4)) for c in bgr)
        cv2.rectangle(picture, (160 - half, 120 - half), (160 + half, 130 - half), lid, -1)
    light = np.linspace(0.9, 1.1, 320)[None, :, None]
    noise = np.random.default_rng(0).normal(0, 2, picture.shape)
    return np.clip(picture * light + noise, 0, 255).astype(np.uint8)


def view(bgr: tuple[int, int, int] = RED, shape: str = "ball", size: int = 70) -> np.ndarray:
    return cut_plain(photo(bgr, shape, size))


@pytest.fixture(scope="module")
def embedder(bundle):
    embedder = open_embedder(bundle)
    yield embedder
    embedder.close()


# --- the folder ---------------------------------------------------------------------------------


def test_what_was_taught_is_there_with_its_views_and_time(tmp_path: Path) -> None:
    folder = GalleryFolder(tmp_path / "gallery")
    assert folder.things() == {}
    assert folder.stamp() is None
    thing = folder.teach("cup", "red", [view(), view(size=90)])
    assert thing == "red_cup"
    entry = folder.things()[thing]
    assert entry.names == ("cup",)
    assert entry.colour == "red"
    assert entry.taught_at is not None
    assert len(folder.pictures(thing)) == 2


def test_the_same_noun_and_colour_is_the_same_thing(tmp_path: Path) -> None:
    folder = GalleryFolder(tmp_path)
    for _ in range(11):
        folder.teach("cup", "red", [view()])
    folder.teach("cup", "blue", [view(BLUE)])
    assert list(folder.things()) == ["red_cup", "blue_cup"]
    assert [p.name for p in folder.pictures("red_cup")] == [f"{i}.png" for i in range(11)]


def test_other_names_stay_when_more_views_are_taught(tmp_path: Path) -> None:
    folder = GalleryFolder(tmp_path)
    folder.teach("cup", "red", [view()])
    (tmp_path / "gallery.json").write_text('{"red_cup": {"names": ["cup", "mug"], "colour":"red"}}')
    folder.teach("cup", "red", [view()])
    assert folder.things()["red_cup"].names == ("cup", "mug")


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_an_interruption_changes_nothing(tmp_path: Path, monkeypatch, fails_at: int) -> None:
    folder = GalleryFolder(tmp_path)
    folder.teach("cup", "red", [view()])
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    write, calls = gallery_folder.write_whole, []

    def interrupted(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) == fails_at + 1:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(gallery_folder, "write_whole", interrupted)
    for noun in ("cup", "bowl"):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            folder.teach(noun, "red", [view(), view(size=90)])
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
        assert sorted(p.name for p in tmp_path.iterdir()) == ["gallery.json", "red_cup"]


def test_two_that_teach_at_once_lose_nothing(tmp_path: Path) -> None:
    picture = view()

    def teach(noun: str) -> None:
        for _ in range(5):
            GalleryFolder(tmp_path).teach(noun, None, [picture])

    threads = [threading.Thread(target=teach, args=(noun,)) for noun in ("cup", "bowl", "box")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder = GalleryFolder(tmp_path)
    assert {thing: len(folder.pictures(thing)) for thing in folder.things()} == {
        "cup": 5, "bowl": 5, "box": 5,
    }  # fmt: skip


def test_what_is_forgotten_is_gone_and_its_id_does_not_come_back_with_old_views(
    tmp_path: Path,
) -> None:
    folder = GalleryFolder(tmp_path)
    folder.teach("cup", "red", [view()])
    folder.teach("bowl", None, [view(BLUE)])
    folder.sheet("red_cup").write_bytes(b"")
    folder.forget(["red_cup"])
    assert list(folder.things()) == ["bowl"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bowl", "gallery.json"]
    (tmp_path / "red_cup").mkdir()
    (tmp_path / "red_cup" / "0.png").write_bytes(b"left over")
    assert folder.teach("cup", "red", [view()]) == "red_cup_2"


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        GalleryFolder(tmp_path / "file").teach("cup", None, [view()])


@pytest.mark.parametrize(
    ("name", "colour", "wanted"),
    [
        ("cup", None, ("cup", None)),
        ("Red Cup", None, ("cup", "red")),
        ("the blue measuring cup", None, ("measuring cup", "blue")),
        ("cup", "red", ("cup", "red")),
        ("red cup", "red", ("cup", "red")),
        ("orange", None, ("orange", None)),
        ("tic-tac", None, ("tic-tac", None)),
    ],
)
def test_a_colour_before_the_noun_is_its_colour(name, colour, wanted) -> None:
    assert noun_and_colour(name, colour) == wanted


@pytest.mark.parametrize(
    "name", ["", "  ", "cup2", "../cup", "b c d e f", "x" * 50, "tasse ß", "red", "that one"]
)
def test_a_name_that_cannot_be_said_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        noun_and_colour(name, None)


def test_a_colour_that_is_no_colour_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="colour word"):
        noun_and_colour("cup", "mauve")


# --- cutting out --------------------------------------------------------------------------------


def test_the_thing_is_cut_out_with_transparency() -> None:
    cutout = view()
    opaque = cutout[..., 3] > 127
    height, width = cutout.shape[:2]
    assert cutout.shape == pytest.approx((90, 90, 4), abs=8)
    assert opaque.sum() == pytest.approx(np.pi * 35**2, rel=0.06)
    assert opaque[height // 2, width // 2]
    assert not opaque[0, 0]


def test_a_thing_that_was_cut_out_stays_as_it_was(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "v.png"), view())
    again = cut(read_picture(tmp_path / "v.png"), cut_plain)
    np.testing.assert_array_equal(again[..., 3].sum(), view()[..., 3].sum())
    whole = cut_whole(photo())
    assert (whole[1:-1, 1:-1, 3] > 0).all()
    assert not whole[0, :, 3].any()


def two_things() -> np.ndarray:
    return np.hstack([photo(), photo(BLUE)])


def cut_off() -> np.ndarray:
    return photo()[:, 150:]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.full((200, 200, 3), 150, np.uint8), "nothing"),
        (two_things(), "2 things"),
        (cut_off(), "border"),
        (cv2.GaussianBlur(photo(), (0, 0), 5), "blurred"),
        (photo(size=22), "only 2"),
        (np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8), "plain"),
    ],
    ids=["empty", "several", "cut off", "blurred", "small", "clutter"],
)
def test_a_picture_that_would_teach_badly_is_refused(picture: np.ndarray, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        cut_plain(picture)


def test_a_slight_blur_is_still_good() -> None:
    cut_plain(cv2.GaussianBlur(photo(), (0, 0), 1.0))


def test_shadow_is_no_part_of_the_thing() -> None:
    lit = photo().astype(np.float32)
    shade = np.zeros((240, 320), np.float32)
    cv2.ellipse(shade, (185, 150), (38, 22), 20, 0, 360, 1, -1)
    shade[np.linalg.norm(np.mgrid[:240, :320].T[..., ::-1] - [160, 120], axis=-1).T < 36] = 0
    shade = cv2.GaussianBlur(shade, (0, 0), 2)
    shadowed = np.clip(lit * (1 - 0.45 * shade[..., None]), 0, 255).astype(np.uint8)
    area = (cut_plain(shadowed)[..., 3] > 0).sum()
    assert area == pytest.approx(np.pi * 35**2, rel=0.1)


def on_table(*things: Drum, arm: tuple[float, float] | None = None) -> np.ndarray:
    picture = table(things)
    return picture if arm is None else add_arm(picture, arm)[0]


def test_on_the_table_the_thing_may_stand_anywhere() -> None:
    cutter = TableCutter(camera(), Workspace(**WORKSPACE), TabletopParams())
    for x, y in ((0.4, 0.2), (0.65, -0.1)):
        cutout = cutter(on_table(Drum(x, y)))
        red = cutout[cutout[..., 3] > 127][:, :3].mean(axis=0)
        assert red[2] > 2 * red[0]
    with pytest.raises(MediaError, match="nothing on the table"):
        cutter(on_table())
    with pytest.raises(MediaError, match="2 things"):
        cutter(on_table(Drum(0.4, 0.2), Drum(0.6, -0.2, bgr=BLUE)))


def test_views_that_tell_the_same_are_taken_once() -> None:
    shots = [Shot(str(i), photo(size=70 + i % 2)) for i in range(6)]
    shots += [Shot("box", photo(shape="box")), Shot("empty", np.full((99, 99, 3), 9, np.uint8))]
    chosen = choose_views(shots, cut_plain, 5, lambda _: None)
    assert len(chosen.views) == 2
    assert chosen.alike == 5
    assert "nothing" in chosen.reason()


# --- embeddings that are kept ------------------------------------------------------------------


class Counting(CropEmbedder):
    """An embedder that says how much it was used."""

    def __init__(self, inner: CropEmbedder, key: str) -> None:
        self.inner, self.key, self.crops = inner, key, 0

    def embed(self, crops):
        self.crops += len(crops)
        return self.inner.embed(crops)


def test_known_views_are_not_embedded_again(tmp_path: Path, embedder: CropEmbedder) -> None:
    folder = GalleryFolder(tmp_path)
    thing = folder.teach("cup", "red", [view(), view(size=90)])
    first = Counting(embedder, "model")
    vectors = embed_views(tmp_path, [thing], first)[0]
    assert first.crops == 4
    folder.teach("cup", "red", [view(BLUE)])
    again = Counting(embedder, "model")
    assert embed_views(tmp_path, [thing], again)[0][:4] == pytest.approx(vectors)
    assert again.crops == 2
    other = Counting(embedder, "another model")
    embed_views(tmp_path, [thing], other)
    assert other.crops == 6


def test_a_damaged_cache_costs_only_time(tmp_path: Path, embedder: CropEmbedder) -> None:
    folder = GalleryFolder(tmp_path)
    folder.teach("cup", "red", [view()])
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 no")
    counting = Counting(embedder, "model")
    Gallery.load(tmp_path, counting)
    assert counting.crops == 2
    assert ViewCache(tmp_path, "model").get(folder.pictures("red_cup")[0].read_bytes()) is not None


# --- telling things apart -----------------------------------------------------------------------


def test_things_are_told_apart_and_the_same_one_twice_is_mentioned(
    tmp_path: Path, embedder: CropEmbedder
) -> None:
    folder = GalleryFolder(tmp_path)
    folder.teach("ball", "red", [view(size=s) for s in (60, 75, 90)])
    folder.teach("box", "blue", [view(BLUE, "box", s) for s in (60, 75, 90)])
    params = ObjectsNode.Params(calibration="").naming
    judged = leave_one_out(folder, embedder, params)
    assert [one.called for one in judged] == ["ball"] * 3 + ["box"] * 3
    assert too_alike(judged) == []
    folder.teach("orb", "red", [view(size=s) for s in (65, 70, 85)])
    pairs = too_alike(leave_one_out(folder, embedder, params))
    assert {(thing, noun) for thing, noun, _ in pairs} == {("red_ball", "orb"), ("red_orb", "ball")}


# --- the node -----------------------------------------------------------------------------------

THINGS = (Drum(0.35, 0.2), Drum(0.55, -0.15, bgr=BLUE), Drum(0.68, 0.1, bgr=GREEN))


@pytest.fixture
def bench(tmp_path: Path, bundle):
    save_camera(camera(), tmp_path / "camera.json")
    params = {
        "calibration": str(tmp_path / "camera.json"), "workspace": WORKSPACE,
        "gallery": str(tmp_path / "gallery"),
    }  # fmt: skip
    with NodeBench(ObjectsNode, params, bundle=bundle) as bench:
        yield bench


def play(bench: NodeBench, picture: np.ndarray, start_s: float, seconds: float):
    for k in range(round(seconds * 30)):
        bench.send("frame", frame(picture, start_s + k / 30))
    return bench.outputs["scene"][-1]


def of_colour(scene, colour: str):
    return next(o for o in scene.objects if max(o.colours, key=o.colours.get) == colour)


def test_a_node_without_anything_taught_runs_and_says_so(bench: NodeBench) -> None:
    scene = play(bench, table(THINGS), 1.0, 0.5)
    assert all(o.names == {} for o in scene.objects)
    assert "nothing was taught" in bench.node.context.notes["gallery"]


def test_an_object_that_is_named_has_its_name_in_the_next_scene(
    bench: NodeBench, tmp_path: Path
) -> None:
    scene = play(bench, table(THINGS), 1.0, 0.5)
    blue = of_colour(scene, "blue")
    # The hand that points at it hides it now.
    x, y, w, h = blue.box_px
    picture, _ = add_arm(table(THINGS), (x + w / 2, y + h / 2))
    play(bench, picture, 1.5, 0.3)
    bench.send("teach", Teach(Header(stamp_ns=0), "tin", blue.object_id))
    scene = play(bench, table(THINGS), 1.8, 0.2)
    taught = next(o for o in scene.objects if o.object_id == blue.object_id)
    assert taught.names["tin"] > 0.8
    index = json.loads((tmp_path / "gallery" / "gallery.json").read_text())
    assert index["blue_tin"]["names"] == ["tin"]
    assert "gallery" not in bench.node.context.notes
    # Moved and turned up anew, it is still a tin.
    moved = (THINGS[0], Drum(0.45, -0.3, bgr=BLUE), THINGS[2])
    scene = play(bench, table(moved, seed=5), 3.0, 3.0)
    assert max(of_colour(scene, "blue").names.items(), key=lambda i: i[1])[0] == "tin"


def test_a_name_that_was_taught_can_be_said(bench: NodeBench) -> None:
    grammar = open_grammar("tabletop")
    names = LiveNames(grammar)
    assert "gizmo" not in grammar.domain.names
    scene = play(bench, table(THINGS), 1.0, 0.5)
    bench.send("teach", Teach(Header(stamp_ns=0), "gizmo", of_colour(scene, "red").object_id))
    before = len(bench.outputs["scene"])
    play(bench, table(THINGS), 1.5, 0.5)
    compiled = None
    for scene in bench.outputs["scene"][before:]:
        names.see(scene)
    names.close()
    compiled = names.compiled()
    assert compiled is not None
    assert "gizmo" in compiled.domain.names


def test_what_the_command_line_teaches_is_known_within_a_second(
    bench: NodeBench, tmp_path: Path
) -> None:
    scene = play(bench, table(THINGS), 1.0, 0.5)
    assert of_colour(scene, "green").names == {}
    picture = table(THINGS)
    cutter = TableCutter(camera(), Workspace(**WORKSPACE), TabletopParams())
    folder = GalleryFolder(tmp_path / "gallery")
    folder.teach("drum", "green", [cutter(table(THINGS[2:]))])
    scene = play(bench, picture, 1.5, 0.9)
    assert of_colour(scene, "green").names["drum"] > 0.5
    folder.forget(["green_drum"])
    scene = play(bench, picture, 2.5, 0.9)
    assert of_colour(scene, "green").names == {}
    assert "nothing was taught" in bench.node.context.notes["gallery"]


def test_a_gallery_that_breaks_while_the_node_runs_leaves_what_was_known(
    bench: NodeBench, tmp_path: Path
) -> None:
    scene = play(bench, table(THINGS), 1.0, 0.5)
    bench.send("teach", Teach(Header(stamp_ns=0), "tin", of_colour(scene, "blue").object_id))
    (tmp_path / "gallery" / "gallery.json").write_text("{")
    scene = play(bench, table(THINGS), 1.5, 0.9)
    assert of_colour(scene, "blue").names["tin"] > 0.8
    assert "gallery.json" in bench.node.context.notes["gallery"]


@pytest.mark.parametrize(
    ("name", "object_id", "message"),
    [("tin", "object-99", "object-99"), ("c3po!", None, "cannot be the name")],
)
def test_what_cannot_be_learnt_is_said(bench: NodeBench, name, object_id, message) -> None:
    scene = play(bench, table(THINGS), 1.0, 0.5)
    known = object_id or scene.objects[0].object_id
    bench.send("teach", Teach(Header(stamp_ns=0), name, known))
    assert message in bench.node.context.notes["teach"]
    bench.send("teach", Teach(Header(stamp_ns=0), "tin", scene.objects[0].object_id))
    assert "teach" not in bench.node.context.notes


def test_a_node_without_a_gallery_cannot_learn(tmp_path: Path) -> None:
    save_camera(camera(), tmp_path / "camera.json")
    params = {"calibration": str(tmp_path / "camera.json"), "workspace": WORKSPACE}
    with NodeBench(ObjectsNode, params) as bench:
        bench.send("teach", Teach(Header(stamp_ns=0), "tin", "object-1"))
        assert "no gallery" in bench.node.context.notes["teach"]


def test_a_stored_view_at_the_pictures_border_keeps_the_thing() -> None:
    picture = photo()
    mask = np.ones((30, 30), bool)
    cutout = stored_view(picture, (0.0, 210.0, 30.0, 30.0), mask)
    assert (cutout[..., 3] > 0).sum() == 900
    assert Entry(names=("cup",)).taught_at is None
