"""What Marlin says when it boots and when it is asked who it is."""

from __future__ import annotations

from dataclasses import dataclass

_CAPABILITIES = {
    "SERIAL_XON_XOFF": 0,
    "BINARY_FILE_TRANSFER": 0,
    "EEPROM": 0,
    "VOLUMETRIC": 1,
    "AUTOREPORT_POS": 0,
    "AUTOREPORT_TEMP": 1,
    "PROGRESS": 0,
    "PRINT_JOB": 1,
    "AUTOLEVEL": 0,
    "RUNOUT": 0,
    "Z_PROBE": 0,
    "LEVELING_DATA": 0,
    "BUILD_PERCENT": 0,
    "SOFTWARE_POWER": 0,
    "TOGGLE_LIGHTS": 0,
    "CASE_LIGHT_BRIGHTNESS": 0,
    "EMERGENCY_PARSER": 0,
    "HOST_ACTION_COMMANDS": 0,
    "PROMPT_SUPPORT": 0,
    "SDCARD": 0,
    "THERMAL_PROTECTION": 1,
    "MOTION_MODES": 0,
    "ARCS": 1,
    "BABYSTEPPING": 0,
    "CHAMBER_TEMPERATURE": 0,
}


@dataclass(frozen=True, slots=True)
class Texts:
    """The sentences of one Marlin generation."""

    banner: str
    identity: str
    has_capabilities: bool

    def about(self, options: frozenset[str]) -> str:
        """The answer to M115, by the options the firmware was built with."""
        if not self.has_capabilities:
            return self.identity
        capabilities = dict(_CAPABILITIES)
        capabilities["EMERGENCY_PARSER"] = int("emergency-parser" in options)
        capabilities["HOST_ACTION_COMMANDS"] = int("prompts" in options)
        capabilities["PROMPT_SUPPORT"] = int("prompts" in options)
        lines = "".join(f"Cap:{name}:{value}\n" for name, value in capabilities.items())
        return self.identity + lines


MARLIN_2 = Texts(
    banner=(
        "Marlin 2.1.2\n"
        "echo: Last Updated: 2022-12-17 | Author: (none, default config)\n"
        "echo: Compiled: Dec 17 2022\n"
        "echo: Free Memory: 4986  PlannerBufferBytes: 1168\n"
    ),
    identity=(
        "FIRMWARE_NAME:Marlin 2.1.2 (Dec 17 2022 00:00:00) "
        "SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:3D Printer EXTRUDER_COUNT:1 "
        "UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff\n"
    ),
    has_capabilities=True,
)

MARLIN_1 = Texts(
    banner=(
        "echo:Marlin bugfix-1.1.x\n"
        "\n"
        "echo: Last Updated: 2018-01-20 12:00 | Author: (none, default config)\n"
        "echo:Compiled: Jan 20 2018\n"
        "echo: Free Memory: 4744  PlannerBufferBytes: 1232\n"
    ),
    identity=(
        "FIRMWARE_NAME:Marlin bugfix-1.1.x (Github) "
        "SOURCE_CODE_URL:https://github.com/MarlinFirmware/Marlin PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:3D Printer EXTRUDER_COUNT:1 "
        "UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff\n"
    ),
    has_capabilities=False,
)

BUDDY = Texts(
    banner="echo:Marlin 2.1.2.5\necho: Last Updated: 2024-01-01 | Author: (Prusa Research)\n",
    identity=(
        "FIRMWARE_NAME:Prusa-Firmware-Buddy 6.1.3+7898 (Github) "
        "SOURCE_CODE_URL:https://github.com/prusa3d/Prusa-Firmware-Buddy PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:Prusa-MK4 EXTRUDER_COUNT:1 "
        "UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff\n"
    ),
    has_capabilities=True,
)

PRUSA_MK3 = Texts(
    banner="echo: 3.13.3-7094\necho: Last Updated: Jul 24 2023 | Author: (none, default config)\n",
    identity=(
        "FIRMWARE_NAME:Prusa-Firmware 3.13.3 based on Marlin "
        "FIRMWARE_URL:https://github.com/prusa3d/Prusa-Firmware PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:Prusa i3 MK3S EXTRUDER_COUNT:1 "
        "UUID:00000000-0000-0000-0000-000000000000\n"
        "Cap:AUTOREPORT_TEMP:1\nCap:AUTOREPORT_FANS:1\nCap:AUTOREPORT_POSITION:1\n"
        "Cap:EXTENDED_M20:1\nCap:PRUSA_MMU2:1\n"
    ),
    has_capabilities=False,
)
