"""Hanging up on a server without losing an answer that is already on its way."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Protocol


class HasFileno(Protocol):
    """Any kind of socket object: the standard library's, asyncio's or uvloop's."""

    def fileno(self) -> int:
        """Return the descriptor, or -1 once it is closed."""
        ...


def half_close(connection: HasFileno) -> None:
    """Send the end-of-stream on a connected TCP socket and leave its receiving half open.

    Works on a duplicate of the descriptor, because event loops hand out socket objects that can't
    be shut down. A socket that is closed already is left alone.
    """
    descriptor = connection.fileno()
    if descriptor < 0:
        return
    # not connected any more: then there is nobody to tell
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.shutdown(socket.SHUT_WR)
