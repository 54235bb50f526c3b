"""Parts that any room may use to survive trouble: files that are replaced whole or not at all, one writer in a folder,
databases that are copied while somebody writes them.

Nothing here knows what is in the files.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.resilience.backup import Backup, back_up, restore
    from quant_organism.resilience.databases import copy_database, damage_of, is_database
    from quant_organism.resilience.files import (
        abandoned_files,
        flush_folders,
        remove_files,
        replace_files,
        storage_error,
        write_file,
        write_files,
    )
    from quant_organism.resilience.locks import alone_in
    from quant_organism.resilience.memory import return_freed_memory, when_memory_is_returned
    from quant_organism.resilience.objects import (
        ObjectPath,
        StoragePath,
        check_conditions,
        contents_of,
        located,
        location_document,
        object_folder,
        stamps_of,
        take_keys_from,
        written_at,
    )

__all__ = [
    "Backup",
    "ObjectPath",
    "StoragePath",
    "abandoned_files",
    "alone_in",
    "back_up",
    "check_conditions",
    "contents_of",
    "copy_database",
    "damage_of",
    "flush_folders",
    "is_database",
    "located",
    "location_document",
    "object_folder",
    "remove_files",
    "replace_files",
    "restore",
    "return_freed_memory",
    "stamps_of",
    "storage_error",
    "take_keys_from",
    "when_memory_is_returned",
    "write_file",
    "write_files",
    "written_at",
]

_HOMES = {
    "Backup": "backup",
    "ObjectPath": "objects",
    "StoragePath": "objects",
    "abandoned_files": "files",
    "alone_in": "locks",
    "back_up": "backup",
    "check_conditions": "objects",
    "contents_of": "objects",
    "copy_database": "databases",
    "damage_of": "databases",
    "flush_folders": "files",
    "is_database": "databases",
    "located": "objects",
    "location_document": "objects",
    "object_folder": "objects",
    "remove_files": "files",
    "replace_files": "files",
    "restore": "backup",
    "return_freed_memory": "memory",
    "when_memory_is_returned": "memory",
    "stamps_of": "objects",
    "storage_error": "files",
    "take_keys_from": "objects",
    "write_file": "files",
    "write_files": "files",
    "written_at": "objects",
}

# Most of the program needs one of these and not the others.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.resilience.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
