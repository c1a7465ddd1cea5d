from __future__ import annotations

from pathlib import Path

import pytest

from pvla.deploy import doctor
from pvla.deploy.doctor import Check


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


@pytest.mark.parametrize(("running", "ok"), [((3, 9), False), ((3, 10), True), ((3, 13), True), ((3, 14), False)])
def test_python_range(running: tuple[int, int], ok: bool) -> None:
    assert doctor.check_python(running).ok is ok


def test_packages_are_found_by_metadata() -> None:
    assert doctor.check_package("numpy").ok
    missing = doctor.check_package("no-such-package-anywhere")
    assert not missing.ok
    assert missing.advice


def test_renderer_and_engine_work_here() -> None:
    assert doctor.check_renderer().ok
    assert doctor.check_engine().ok


def test_only_required_findings_decide() -> None:
    good, absent, bad = Check("a", True, True, ""), Check("b", False, False, ""), Check("c", False, True, "")
    assert doctor.can_simulate([good, absent])
    assert not doctor.can_simulate([good, bad])


def test_missing_bundle_is_a_finding_and_not_an_error(tmp_path: Path) -> None:
    check = doctor.check_bundle(tmp_path / "none")
    assert not check.ok
    assert check.advice


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_disk(tmp_path).found.endswith(str(tmp_path))
    monkeypatch.setattr(doctor, "RECORDING_BYTES", 1 << 62)
    assert "Free" in doctor.check_disk(tmp_path).advice


def test_can_interfaces_are_told_apart_by_their_device(tmp_path: Path) -> None:
    net = tmp_path / "sys/class/net"
    write(net / "eth0/type", "1")
    assert not doctor.check_can(tmp_path).ok
    write(net / "can0/type", "280")
    (tmp_path / "c310000.mttcan").mkdir()
    (net / "can0/device").symlink_to(tmp_path / "c310000.mttcan")
    write(net / "vcan0/type", "280")
    assert doctor.check_can(tmp_path).found == "can0 (c310000.mttcan), vcan0 (virtual)"


@pytest.mark.parametrize(("speed", "ok"), [("5000", True), ("480", False)])
def test_camera_on_a_slow_port_is_told(tmp_path: Path, speed: str, ok: bool) -> None:
    device = tmp_path / "sys/bus/usb/devices/2-1"
    for name, value in {"idVendor": "8086", "idProduct": "0b5b", "speed": speed}.items():
        write(device / name, value)
    check = doctor.check_cameras(tmp_path)
    assert check.ok is ok
    assert ("USB 3" in check.advice) != ok


def test_no_camera(tmp_path: Path) -> None:
    assert doctor.check_cameras(tmp_path).found == "no D405 on USB"


def test_gpu_is_read_from_the_driver_or_the_jetson(tmp_path: Path) -> None:
    assert not doctor.check_gpu(tmp_path).ok
    write(tmp_path / "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3")
    assert "R36" in doctor.check_gpu(tmp_path).found
