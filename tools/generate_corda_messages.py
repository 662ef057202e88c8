"""Write ``coco_corda.wire``'s classes and their types from the protocol file.

    python -m pip install grpcio-tools
    .venv/bin/python tools/generate_corda_messages.py

The classes are made from a descriptor in a pool of their own, not by protoc's own module, which refuses to
be imported by a protobuf library of another major version than the compiler's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ADAPTER = Path(__file__).resolve().parent.parent / "adapters" / "corda_bridge"
FOLDER = ADAPTER / "src" / "coco_corda" / "wire"
HEAD = "Written by tools/generate_corda_messages.py from bridge.proto."
LINE = 96


def main() -> None:
    """Write classes.py, classes.pyi and the door."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ADAPTER / 'wire'}", "bridge.proto"]
        outputs = [f"--pyi_out={folder}", f"--descriptor_set_out={folder}/set"]
        subprocess.run([*command, *outputs], check=True)  # noqa: S603 - the compiler, on our own file
        (file,) = FileDescriptorSet.FromString(Path(folder, "set").read_bytes()).file
        types = Path(folder, "bridge_pb2.pyi").read_text(encoding="utf-8")
    types = types.replace("_Mapping]", "_Mapping[str, object]]").replace("**kwargs)", "**kwargs: object)")
    names = sorted(message.name for message in file.message_type)
    lines = textwrap.wrap(file.SerializeToString().hex(), LINE)
    classes = [
        f'"""Classes of the protocol\'s messages. {HEAD}"""',
        "",
        "from google.protobuf import descriptor_pool, message_factory",
        "",
        "_POOL = descriptor_pool.DescriptorPool()",
        "_POOL.AddSerializedFile(",
        "    bytes.fromhex(",
        *(f'        "{line}"' for line in lines),
        "    )",
        ")",
        "",
        "",
        "def _class(name):",
        f'    found = _POOL.FindMessageTypeByName(f"{file.package}.{{name}}")',
        "    return message_factory.GetMessageClass(found)",
        "",
        "",
        *(f'{name} = _class("{name}")' for name in names),
        "",
    ]
    (FOLDER / "classes.py").write_text("\n".join(classes), encoding="utf-8")
    (FOLDER / "classes.pyi").write_text(f"# {HEAD}\n\n{types}", encoding="utf-8")
    door = [
        '"""What the adapter and its JVM worker say to each other: the messages of ``bridge.proto``."""',
        "",
        "from coco_corda.wire.classes import (",
        *(f"    {name}," for name in names),
        ")",
        "",
        "__all__ = [",
        *(f'    "{name}",' for name in names),
        "]",
        "",
    ]
    (FOLDER / "__init__.py").write_text("\n".join(door), encoding="utf-8")


if __name__ == "__main__":
    main()
