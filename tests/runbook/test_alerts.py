"""Which document explains which alert, and by what."""

from __future__ import annotations

from tocsin.runbook import compile_runbook, to_json

DOC = "# {}\n\n{}\n\n## Meaning\n\nIt is bad.\n\n## Diagnosis\n\n- Look\n"


def explained(**files: str) -> dict[str, tuple[str, str]]:
    texts = {f"{name.replace('__', '/')}.md": text for name, text in files.items()}
    policy = compile_runbook(texts).policy
    return {route.alert: (route.play, route.because) for route in policy.alerts}


def test_a_document_explains_the_alerts_of_its_file_its_title_and_its_fields() -> None:
    found = explained(disk_full=DOC.format("Disks", "**Alerts:** `DiskLow`, `DiskGone`"))
    assert found == {
        "diskfull": ("Disks", "the name of its file"),
        "disks": ("Disks", "its title"),
        "disklow": ("Disks", "what it lists as alerts"),
        "diskgone": ("Disks", "what it lists as alerts"),
    }


def test_a_file_name_counts_before_a_title_and_a_title_before_a_field() -> None:
    found = explained(
        a=DOC.format("Zeta", "**Alert:** `Queue`"),
        b=DOC.format("Queue", ""),
        queue=DOC.format("Worker", "**Alert:** `Zeta`"),
    )
    assert found["queue"] == ("Worker", "the name of its file")
    assert found["zeta"] == ("Zeta", "its title")


def test_a_readme_is_named_for_its_place() -> None:
    found = explained(alerts__README=DOC.format("DiskFull", ""))
    assert set(found) == {"diskfull"}


def test_the_first_of_two_documents_explains_an_alert() -> None:
    found = explained(
        a=DOC.format("One", "**Alert:** `X_y`"), b=DOC.format("Two", "**Alert:** `X_y`")
    )
    assert found["xy"][0] == "One"


def test_routes_are_printed_with_their_lines() -> None:
    compiled = compile_runbook({"d.md": DOC.format("DiskFull", "")})
    assert to_json(compiled)["alerts"] == [
        {
            "alert": "d",
            "play": "DiskFull",
            "because": "the name of its file",
            "file": "d.md",
            "line": 1,
        },
        {
            "alert": "diskfull",
            "play": "DiskFull",
            "because": "its title",
            "file": "d.md",
            "line": 1,
        },
    ]
