"""Tables of owners: every form in which people keep them, and every mistake, refused by line before work."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysim.core.errors import UserError
from raysim.data.image_names import ImageNames, natural_order, stem_of
from raysim.data.owners import OwnersTable, find_images, read_owners

PATHS = ["forest/001.webp", "forest/002.webp", "river/001.webp", "river/été 3.webp", "river/sub/x_1.5m.webp"]
PLAIN = "file,client\nforest/001.webp,North\nriver/001.webp,South\n"


def table(folder: Path, content: str | bytes, column: str = "client") -> OwnersTable:
    path = folder / "owners.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_owners(path, column)


def message(folder: Path, content: str | bytes, column: str = "client") -> str:
    with pytest.raises(UserError) as error:
        find_images(table(folder, content, column), PATHS)
    assert "\n" not in str(error.value)
    return str(error.value)


def owners(folder: Path, content: str | bytes) -> dict[str, str]:
    return {PATHS[place]: row.client for place, row in find_images(table(folder, content), PATHS).items()}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r\n").encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace("\n", "\n\n") + " , \n\n",
        'Client , note, FILE\nNorth,"a, b",forest/001.webp\nSouth,,river/001.webp\n',
        'file,client\n./forest\\001.webp, North \n"river/001.webp","South"',
        PLAIN + "forest/001.webp,North\n",  # said twice, and the same
        "file,client\nriver/001.webp,South\nforest/001.webp,North\n",
        "sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n"),  # Excel's
        PLAIN.replace("\n", ",,\n"),
    ],
)
def test_forms_of_a_table_that_say_the_same(tmp_path: Path, content: str | bytes) -> None:
    assert owners(tmp_path, content) == {"forest/001.webp": "North", "river/001.webp": "South"}
    assert table(tmp_path, content).content == table(tmp_path, PLAIN).content


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    files = ["forest/001.webp", "river/001.webp"]
    path = tmp_path / "owners.parquet"
    pq.write_table(pa.table({"file": files, "client": ["North", "South"], "weight": [1.0, 2.0]}), path)
    assert read_owners(path).content == table(tmp_path, PLAIN).content
    for numbers in ([3, 12], [3.0, 12.0]):
        pq.write_table(pa.table({"file": files, "client": numbers}), path)
        assert [row.client for row in read_owners(path).rows] == ["3", "12"]
    pq.write_table(pa.table({"file": files, "client": pa.array(["North", None])}), path)
    with pytest.raises(UserError, match=r"owners\.parquet, line 2: 'river/001\.webp' has no client"):
        read_owners(path)


@pytest.mark.parametrize(
    "changed",
    [
        PLAIN.replace("South", "East"),
        PLAIN.replace("river/001", "river/002"),
        PLAIN + "forest/002.webp,North\n",
        "file,client,split\nforest/001.webp,North,train\nriver/001.webp,South,train\n",
    ],
)
def test_another_content_is_another_digest(tmp_path: Path, changed: str) -> None:
    assert table(tmp_path, changed).content != table(tmp_path, PLAIN).content


def test_any_column_can_name_the_client(tmp_path: Path) -> None:
    text = "file,client,Sensor\nforest/001.webp,a,S2\nriver/001.webp,b,L8\n"
    assert [row.client for row in table(tmp_path, text, "sensor").rows] == ["S2", "L8"]


def test_words_of_splits(tmp_path: Path) -> None:
    words = ["train", "Training", "VAL", "valid", "validation", "dev", "test", "testing"]
    rows = "\n".join(f"{number}.png,c,{word}" for number, word in enumerate(words))
    found = table(tmp_path, f"file,client,split\n{rows}\n8.png,,test\n")
    assert [row.split for row in found.rows] == [0, 0, 1, 1, 1, 1, 2, 2, 2] and found.has_splits
    assert found.rows[-1].client == ""  # nobody holds a common test image


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no rows"),
        ("file,client\n", "has no rows"),
        ("image,client\na,b\n", "no column 'file'; its first line names 'image', 'client'"),
        ("file;owner\na;b\n", "no column 'client'"),
        ("file,clients\na,b\n", "did you mean 'clients'?"),
        ("file,client,file\na,b,c\n", "2 columns 'file'"),
        ("file,client\na\n", "line 2: 1 cells where the first line names 2"),
        ("file,client\nforest/001.webp,Office, North\n", "line 2: 3 cells"),
        ('file,client\n"forest,b\n', "no CSV"),
        ("file,client\n\n,North\n", "line 3: no file is named"),
        ("file,client\nforest/001.webp,  \n", "line 2: 'forest/001.webp' has no client; leave the row out"),
        ("file,client,split\nforest/001.webp,,train\n", "line 2: 'forest/001.webp' has no client"),
        ("file,client,split\nforest/001.webp,a,fold1\n", "line 2: split = 'fold1' is not allowed"),
        ("file,client,split\nforest/001.webp,a,\n", "line 2: split = '' is not allowed"),
        (PLAIN + "forest/001.webp,South\n", "named twice: line 2 says client 'North' and line 4 says"),
        (PLAIN + "001.webp,South\n", "line 4: '001.webp' fits 2 images, forest/001.webp, river/001.webp"),
        (PLAIN + "/disk/forest/001.tif,South\n", "named twice"),  # other words for an image that is named
        (
            PLAIN + "river/009.webp,South\n",
            "1 of 3 rows name a file that is not among the dataset's 5 images",
        ),
        (PLAIN + "River/001.webp,South\n", "'River/001.webp' (line 4); the most similar one is"),
        (PLAIN.replace("North", "N\xf6rd").encode("latin-1"), "line 2: the bytes are not UTF-8"),
        (b"PK\x03\x04 and more", "is an Excel workbook or a ZIP archive"),
        (b"PAR1 and no more", "no Parquet file that can be read"),
    ],
)
def test_mistakes_are_named_by_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in message(tmp_path, content)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.csv' cannot be read: there is no such file"):
        read_owners(tmp_path / "no.csv")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_owners(tmp_path)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("forest/001.webp", 0),
        ("/data/here/forest/001.webp", 0),
        ("forest/002", 1),
        ("002.tif", 1),
        ("002", 1),
        ("river/e\u0301te\u0301 3.webp", 3),  # the form in which a Mac writes accents
        ("x_1.5m", 4),
        ("sub/x_1.5m.TIF", 4),
    ],
)
def test_how_a_name_finds_its_image(name: str, place: int) -> None:
    table = OwnersTable(Path("t"), ())
    assert table.rows == () and ImageNames(PATHS).find(name.replace("e\u0301", "é")) == [place]


def test_unicode_of_a_mac_is_found(tmp_path: Path) -> None:
    assert owners(tmp_path, "file,client\nriver/e\u0301te\u0301 3.webp,Ko\u0308ln\n") == {
        "river/été 3.webp": "Köln"
    }


def test_a_path_wins_over_the_end_of_another() -> None:
    assert ImageNames(["a.png", "b/a.png"]).find("a.png") == [0]
    assert ImageNames(["c/a.png", "b/c/a.png"]).find("c/a.png") == [0]
    assert ImageNames(["c/a.png", "b/c/a.jpg"]).find("a") == [0, 1]


def test_endings_of_files() -> None:
    assert [stem_of(name) for name in ("a/b.tif", "a/b", "a/x_1.5m", "a/.tif", "a.b/c", "a.webp")] == [
        *("a/b", "a/b", "a/x_1.5m", "a/.tif", "a.b/c", "a"),
    ]


def test_the_order_of_people() -> None:
    assert natural_order({"site 10", "site 2", "3", "12", "b"}) == ["3", "12", "b", "site 2", "site 10"]


def test_a_table_that_changes_is_read_again(tmp_path: Path) -> None:
    first = table(tmp_path, PLAIN)
    assert table(tmp_path, PLAIN + "river/002.webp,x\n").content != first.content
