from __future__ import annotations

from pathlib import Path

import pytest

from pvla.datasets.convert.rlds import tfrecord
from pvla.datasets.convert.source import Damaged

RECORDS = [b"", b"a", b"progress" * 500]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x-train.tfrecord-00000-of-00001"
    path.write_bytes(b"".join(tfrecord.frame(data) for data in RECORDS))
    return path


def test_the_checksum_of_a_known_record() -> None:
    # The empty record as TensorFlow writes it: the masked CRC-32C of eight zero bytes is 0x07980329.
    assert tfrecord.frame(b"")[8:12] == bytes.fromhex("29039807")


def test_records_come_back(file: Path) -> None:
    records, trouble = tfrecord.scan(file)
    assert trouble == ""
    assert [tfrecord.read(file, record) for record in records] == RECORDS


@pytest.mark.parametrize("cut", [1, 4, 20, 4010, 4020])
def test_a_cut_file_keeps_what_came_before(file: Path, cut: int) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-cut])
    records, trouble = tfrecord.scan(file)
    whole = [record for record in records if record.offset + record.length + 4 <= len(data) - cut]
    assert len(records) == len(whole) == (2 if cut < 4016 else 1)
    assert "ends within" in trouble


def test_a_changed_length_ends_the_scan_and_says_so(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[16] ^= 1  # the second record's length
    file.write_bytes(data)
    records, trouble = tfrecord.scan(file)
    assert len(records) == 1
    assert "record 1 has a damaged length" in trouble


@pytest.mark.parametrize("at", [0, 100, 3999])
def test_a_flipped_bit_in_the_data_is_found(file: Path, at: int) -> None:
    records, _ = tfrecord.scan(file)
    data = bytearray(file.read_bytes())
    data[records[2].offset + at] ^= 0x10
    file.write_bytes(data)
    with pytest.raises(Damaged, match="wrong checksum"):
        tfrecord.read(file, records[2])
    assert tfrecord.read(file, records[1]) == b"a"
