"""Pushing to the Hugging Face Hub: one commit of what has changed, private, and errors in one line without keys."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.corpus.exporters.folder import MANIFEST
from autodata.corpus.push import Pushed
from autodata.corpus.push_hf import push_hf, pushed_files
from autodata.tracing.redact import REDACTED, Redactor
from tests.support.hub import ADDRESS, TOKEN, Dataset, Hub
from tests.unit.test_export import data, rich

# The client sends large files in a way that its own HTTP library would rather not see.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
NAME = "ann/tides"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", ADDRESS)
    with Hub().connected() as service:
        yield service


def keep(value: object) -> object:
    return value


def test_a_dataset_is_made_private_and_holds_the_export_with_its_card(hub: Hub) -> None:
    files = pushed_files(data(train=[rich(), rich(2)], test=[rich(3)]), keep)
    assert push_hf(files, 3, NAME) == Pushed(3, 0, f"Hugging Face dataset {NAME}, private")
    dataset = hub.datasets[NAME]
    assert dataset.private
    assert {path: dataset.files[path] for path in files} == files
    table = pq.read_table(io.BytesIO(dataset.files["data/train-00000-of-00001.parquet"]))
    assert table.to_pylist() == [rich(), rich(2)]
    assert b"## Difficulty" in dataset.files["README.md"]
    assert set(json.loads(dataset.files[MANIFEST])["files"]) == files.keys() - {MANIFEST}
    [(message, wrote, deleted)] = dataset.commits
    assert (message, sorted(wrote), deleted) == ("3 examples of Autodata", sorted(files), [])


def test_the_same_bytes_again_change_nothing_and_others_only_what_differs(hub: Hub) -> None:
    files = pushed_files(data(train=[rich(), rich(2)], test=[rich(3)]), keep)
    push_hf(files, 3, NAME)
    again = push_hf(pushed_files(data(train=[rich(), rich(2)], test=[rich(3)]), keep), 3, NAME)
    assert again == Pushed(0, 3, f"Hugging Face dataset {NAME}, private")
    dataset = hub.datasets[NAME]
    assert len(dataset.commits) == 1
    more = pushed_files(data(rich(), rich(2), rich(3), rich(4)), keep)
    assert push_hf(more, 4, NAME).new == 4
    _, wrote, deleted = dataset.commits[1]
    assert deleted == ["data/test-00000-of-00001.parquet"], "a split that is no more"
    assert sorted(wrote) == sorted({"README.md", MANIFEST, "data/train-00000-of-00001.parquet"})
    assert dataset.files.keys() - {".gitattributes"} == more.keys()


def test_a_push_that_failed_is_done_by_the_next(hub: Hub) -> None:
    files = pushed_files(data(rich()), keep)
    hub.fails = 507
    with pytest.raises(RunFailed, match="push again, nothing is sent twice") as raised:
        push_hf(files, 1, NAME, Redactor((), {"HF_TOKEN"}).clean)
    assert TOKEN not in str(raised.value)
    assert "\n" not in str(raised.value)
    hub.fails = 0
    assert push_hf(files, 1, NAME).new == 1
    hub.down = True
    with pytest.raises(RunFailed, match="ConnectError"):
        push_hf(files, 1, NAME)


def test_of_two_pushes_at_once_the_second_is_refused_and_changes_nothing(hub: Hub) -> None:
    files = pushed_files(data(rich()), keep)
    push_hf(files, 1, NAME)
    before = dict(hub.datasets[NAME].files)
    hub.meanwhile = True
    more = pushed_files(data(rich(), rich(2)), keep)
    with pytest.raises(RunFailed, match="somebody else pushed meanwhile, and nothing was sent: push again"):
        push_hf(more, 2, NAME)
    assert hub.datasets[NAME].files == before
    assert push_hf(more, 2, NAME).new == 2


def test_what_is_not_ours_and_what_everybody_sees_is_left_alone(hub: Hub) -> None:
    files = pushed_files(data(rich()), keep)
    hub.datasets["ann/thesis"] = Dataset(private=True, files={"thesis.tex": b"mine"})
    with pytest.raises(UserError, match=r"holds other files than an export \(thesis.tex\)"):
        push_hf(files, 1, "ann/thesis")
    hub.datasets["ann/open"] = Dataset(private=False)
    with pytest.raises(UserError, match="is there already and public: push with --public"):
        push_hf(files, 1, "ann/open")
    assert not any(dataset.commits for dataset in hub.datasets.values())
    assert push_hf(files, 1, "ann/open", private=False).where.endswith("public")
    hub.datasets["ann/closed"] = Dataset(private=True)
    assert push_hf(files, 1, "ann/closed", private=False).where.endswith("private"), "what it is, not what was asked"


def test_a_token_is_needed_and_one_that_is_refused_is_the_users_to_mend(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pushed_files(data(rich()), keep)
    with pytest.raises(UserError, match="dataset 'a b': "):
        push_hf(files, 1, "a b")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match=r"refuses the token in HF_TOKEN .*HTTP 401"):
        push_hf(files, 1, NAME)
    monkeypatch.delenv("HF_TOKEN")
    before = len(hub.requests)
    with pytest.raises(UserError, match="HF_TOKEN is not set"):
        push_hf(files, 1, NAME)
    assert len(hub.requests) == before, "a token that lies elsewhere on the machine is not used"


def test_keys_are_blacked_out_before_anything_is_sent(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-0123456789abcdef0123456789")
    row = rich(candidate={"question": "What opens sk-0123456789abcdef0123456789?"})
    files = pushed_files(data(row), Redactor((), {"MY_KEY"}).clean)
    push_hf(files, 1, NAME)
    assert not any(b"sk-0123456789" in content for content in hub.datasets[NAME].files.values())
    table = pq.read_table(io.BytesIO(hub.datasets[NAME].files["data/train-00000-of-00001.parquet"]))
    assert table.to_pylist()[0]["question"] == f"What opens {REDACTED}?"
