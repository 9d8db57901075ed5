"""Which client a word means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.prediction.rows import client_number


def card(*names: str, clients: int = 3) -> dict[str, Any]:
    """What a run's card says of its clients."""
    return {"client_names": list(names), "clients": len(names) or clients}


def test_a_number_or_a_name() -> None:
    assert [client_number(card(), word) for word in (2, "2", np.int64(0))] == [2, 2, 0]
    words = ("West", 1, "1", "name:West", "number:1")
    assert [client_number(card("West", "Nord & Süd"), word) for word in words] == [0, 1, 1, 0, 1]
    assert client_number(card("0", "1"), "1") == client_number(card("0", "1"), 1) == 1
    assert client_number(card("number:1", "a"), "number:1") == 0


@pytest.mark.parametrize("word", [2, "2"])
def test_a_word_that_means_two_clients_is_refused(word: int | str) -> None:
    named = card("1", "2", "3")
    message = r"client = 2 is not allowed: it is the name of client number 1, and client number 2 is '3'"
    with pytest.raises(UserError, match=message):
        client_number(named, word)
    assert (client_number(named, "name:2"), client_number(named, "number:2")) == (1, 2)
    assert [client_number(named, word) for word in (0, "0", 3, "3")] == [0, 0, 2, 2]


@pytest.mark.parametrize("word", [-1, 3, "3", "Ost", "name:Ost", "number:3", "number:West"])
def test_a_client_that_is_not_there_is_refused(word: int | str) -> None:
    message = f"client = {word} is not allowed: it should be 0 to 1, or one of West, Nord"
    with pytest.raises(UserError, match=message):
        client_number(card("West", "Nord"), word)
