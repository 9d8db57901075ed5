"""Configurations of a report: looks that differ, panels, and common parts of labels."""

from __future__ import annotations

from analysis.look import entries


def test_labels_of_one_method_differ_in_look_and_known_methods_keep_theirs() -> None:
    labels = [
        "fedrsclip (tuned)",
        "fedrsclip (untuned)",
        *(f"fedrsclip, {i} (tuned)" for i in range(12)),
        "promptfl (tuned)",
        "zeroshot",
    ]
    named = {label: label.split(" ")[0].split(",")[0] for label in labels}
    found = entries.looks_of(named)
    assert len({(look.colour, look.marker, look.hollow) for look in found.values()}) == len(labels)
    assert found["fedrsclip (tuned)"].colour == found["fedrsclip (untuned)"].colour == "#0072B2"
    assert (found["promptfl (tuned)"].colour, found["promptfl (tuned)"].line) == ("#B87A00", "-")
    assert found["zeroshot"].colour == "#777777" and found["fedrsclip (untuned)"].face == "white"
    repeated = [look for look in found.values() if look.line not in ("-", found["fedrsclip (untuned)"].line)]
    assert repeated and all(
        look.colour != "#0072B2" for look in repeated
    )  # the first colour stays with the first configuration


def test_panels_hold_eight_and_the_first_stands_in_each() -> None:
    labels = [str(i) for i in range(11)]
    assert entries.panel_groups(labels[:8]) == [labels[:8]]
    assert entries.panel_groups(labels) == [["0", "1", "2", "3", "4", "5"], ["0", "6", "7", "8", "9", "10"]]
    assert max(map(len, entries.panel_groups([str(i) for i in range(40)]))) <= entries.MAX_PER_PANEL
