"""Keys come from the environment or from files of their owner, and are never shown."""

from pathlib import Path

import pytest

from livetape.config import Config, VenueConfig, load
from livetape.core.adapter import NOBODY
from livetape.core.credentials import Credentials
from livetape.core.errors import ConfigError

PAIR = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PAIR, "FINNHUB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def key_file(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_venue_without_keys_needs_none() -> None:
    assert Config().venue("kraken").keys("kraken") == [NOBODY]


def test_a_missing_key_is_told_with_where_it_may_stand() -> None:
    with pytest.raises(ConfigError, match=r"finnhub: needs a key: set FINNHUB_API_KEY, or key_file in"):
        VenueConfig().keys("finnhub")


def test_the_environment_names_one_key_or_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINNHUB_API_KEY", "abc, def")
    assert VenueConfig().keys("finnhub") == [Credentials("abc"), Credentials("def")]
    monkeypatch.setenv(PAIR[0], "k1,k2")
    monkeypatch.setenv(PAIR[1], "s1,s2")
    assert VenueConfig().keys("alpaca") == [Credentials("k1", "s1"), Credentials("k2", "s2")]


def test_a_key_without_its_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PAIR[0], "k1")
    with pytest.raises(ConfigError, match="as many keys as secrets"):
        VenueConfig().keys("alpaca")


@pytest.mark.parametrize(
    "text",
    ["k\ns\n", "APCA_API_KEY_ID=k\nAPCA_API_SECRET_KEY=s\n", "APCA_API_SECRET_KEY=s\nAPCA_API_KEY_ID=k"],
)
def test_a_file_holds_a_key(tmp_path: Path, text: str) -> None:
    assert VenueConfig(key_file=key_file(tmp_path / "key", text)).keys("alpaca") == [Credentials("k", "s")]


def test_several_files_are_several_keys(tmp_path: Path) -> None:
    files = [key_file(tmp_path / name, name) for name in ("a", "b")]
    config = load(settings=[f"venues.finnhub.key_file={files}"])
    assert config.venue("finnhub").keys("finnhub") == [Credentials("a"), Credentials("b")]


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = key_file(tmp_path / "key", "sesame", 0o640)
    with pytest.raises(ConfigError, match="chmod 600") as refused:
        VenueConfig(key_file=file).keys("finnhub")
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "one\ntwo\nthree"])
def test_a_file_of_another_form_is_refused_without_its_text(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="must hold APCA_API_KEY_ID and APCA_API_SECRET_KEY") as refused:
        VenueConfig(key_file=key_file(tmp_path / "key", text)).keys("alpaca")
    assert "one" not in str(refused.value).replace("one a line", "")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        VenueConfig(key_file=str(tmp_path / "none")).keys("finnhub")


def test_credentials_show_nothing() -> None:
    key = Credentials("k&y", "s e")
    assert "k&y" not in repr(key) and "s e" not in repr(key)
    assert key.mask(b'{"key":"k&y"} ?token=k%26y&x=s%20e "s e"') == b'{"key":"***"} ?token=***&x=*** "***"'
    assert NOBODY.mask(b"anything") == b"anything"
