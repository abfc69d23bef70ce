"""The kernel's own header says how large a request is and what its number is."""

import shutil
import subprocess
from pathlib import Path

import pytest

from drivers import gpio
from drivers.errors import HostError
from drivers.pulse import Pulse

HEADER = Path("/usr/include/linux/gpio.h")
SOURCE = r"""
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
int main(void) {
    struct gpio_v2_line_request request = {0};
    struct gpio_v2_line_values values = {0};
    request.offsets[0] = 17;
    strcpy(request.consumer, "fabnode heartbeat");
    request.config.flags = GPIO_V2_LINE_FLAG_OUTPUT;
    request.num_lines = 1;
    values.bits = 1;
    values.mask = 1;
    printf("%lx %lx %lx\n", (long)GPIO_V2_GET_LINE_IOCTL, (long)GPIO_V2_LINE_GET_VALUES_IOCTL,
           (long)GPIO_V2_LINE_SET_VALUES_IOCTL);
    fflush(stdout);
    write(1, &request, sizeof request);
    strcpy(request.consumer, "fabnode interlock");
    request.config.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_BIAS_PULL_UP;
    write(1, &request, sizeof request);
    write(1, &values, sizeof values);
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None or not HEADER.exists(), reason="no C compiler")
def test_a_request_is_to_the_byte_what_the_kernels_header_makes_of_it(tmp_path):
    (tmp_path / "gpio.c").write_text(SOURCE)
    subprocess.run(["cc", "-o", tmp_path / "gpio", tmp_path / "gpio.c"], check=True)
    said = subprocess.run([tmp_path / "gpio"], check=True, capture_output=True).stdout
    numbers, _, structs = said.partition(b"\n")
    known = (gpio.GET_LINE, gpio.GET_VALUES, gpio.SET_VALUES)
    assert numbers.decode() == " ".join(f"{one:x}" for one in known)
    requests = gpio.line_request(17) + gpio.input_request(17)
    assert structs == requests + gpio.line_values(high=True)


@pytest.mark.parametrize("place", ["/dev/null/17", "/nowhere/gpiochip0/4", "/dev/gpiochip0", "x"])
def test_a_chip_that_is_none_is_refused_with_a_reason(place):
    with pytest.raises(HostError, match=r"host\.no_heartbeat"):
        Pulse(f"gpiochip:{place}")
