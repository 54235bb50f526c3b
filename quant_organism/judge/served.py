"""Code of documents where orders are sent: asked of a server that another user runs, and believed in nothing else."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Final

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.deployment import ExternalStrategy, StrategyRepository
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.judge.code_server import SPARE_SECONDS
from quant_organism.judge.code_wire import CodeLine, CodeQuestion, CodeReply, check_server, peer_of, printable
from quant_organism.judge.running import CLOSE_SECONDS, SandboxAnswer
from quant_organism.judge.sandbox import ClosedAtEnd, Floats, stored_panel, wrong_answer
from quant_organism.market import Panel

QUESTION_SECONDS: Final = CLOSE_SECONDS + SPARE_SECONDS
"""Longest that a trader waits for one answer, from its question to the last byte."""

ALL_SECONDS: Final = 40.0
"""Longest that it waits for all code about one close: a plan that is a minute late is not sent."""


class ServedRunner(ClosedAtEnd):
    """Asks the server of code, over one connection that is made anew where it broke; use it with `with`.

    Parameters
    ----------
    repository
        Keeps the sources: each is hashed again before it is sent.
    path
        Socket of the server.
    question_seconds, all_seconds
        Longest waits for one answer, and for all about one close.
    """

    def __init__(
        self,
        repository: StrategyRepository,
        path: Path,
        *,
        question_seconds: float = QUESTION_SECONDS,
        all_seconds: float = ALL_SECONDS,
    ) -> None:
        self._repository, self._path = repository, path
        self._question_seconds, self._all_seconds = question_seconds, all_seconds
        self._line: CodeLine | None = None
        self._close_ms, self._left = -1, all_seconds

    def ask(self, strategy: ExternalStrategy, panel: Panel, costs: Costs) -> SandboxAnswer:
        """Return what code wants on a panel.

        Parameters
        ----------
        strategy, panel, costs
            As for `ExternalRunner`.

        Raises
        ------
        InputError, IntegrityError
            The kept source is not what was judged, the code failed, or the server: it is not there or no wall, took
            too long, ended, ran something else, or answered what is no answer.
        """
        if strategy.trusted:
            raise InputError(
                "code that was judged without walls is not asked where orders are sent",
                where=strategy.id,
                remedy="judge it anew, behind walls",
            )
        last = int(panel.times[-1])
        if last != self._close_ms:
            self._close_ms, self._left = last, self._all_seconds
        began = time.monotonic()
        try:
            source = self._repository.read_source(strategy.source)
            reply, answer = self._exchanged(strategy, source, panel, min(self._question_seconds, self._left))
        except TimeoutError:
            raise self._broken(strategy, "the server of code did not answer in time") from None
        except OSError as error:
            raise self._broken(strategy, f"the server of code is not there: {error.strerror or error}") from None
        except QuantOrganismError as error:
            raise self._broken(strategy, error.what, error.where or "", error.remedy or "") from None
        finally:
            self._left = max(self._left - (time.monotonic() - began), 0.0)
        if reply.failed:
            raise InputError(
                printable(reply.failed), where=strategy.id, remedy="mend the strategy, and have it judged anew"
            )
        if wrong := wrong_answer(answer, strategy.form):
            raise self._broken(strategy, wrong)
        return SandboxAnswer(strategy, answer, panel, costs)

    def close(self) -> None:
        """Hang up; the server ends what it ran for this connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _exchanged(
        self, strategy: ExternalStrategy, source: bytes, panel: Panel, seconds: float
    ) -> tuple[CodeReply, Floats]:
        line, shape = self._connected(seconds), (panel.n_bars, panel.n_assets)
        line.begin(seconds)
        question = CodeQuestion(strategy=strategy, source_bytes=len(source), bars=shape[0], assets=shape[1])
        line.send(question, source, stored_panel(panel))
        reply, body = line.receive(CodeReply, 8 * shape[0] * shape[1])
        if reply.source != strategy.source:
            raise InputError(f"the server of code ran another file ({reply.source[:12]}) than was judged")
        if reply.failed:
            return reply, np.zeros(shape)
        if len(body) != 8 * shape[0] * shape[1]:
            raise InputError(f"the server of code answered {len(body)} bytes for {shape[0]} bars of {shape[1]} assets")
        return reply, np.frombuffer(body, dtype="<f8").reshape(shape).astype(np.float64)

    def _connected(self, seconds: float) -> CodeLine:
        if self._line is not None and self._line.is_over():  # it was started anew since the last question
            self.close()
        if self._line is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(max(seconds, 1e-3))
                connection.connect(str(self._path))
                check_server(peer_of(connection), self._path)
            except BaseException:
                connection.close()
                raise
            self._line = CodeLine(connection)
        return self._line

    def _broken(self, strategy: ExternalStrategy, what: str, where: str = "", remedy: str = "") -> InputError:
        self.close()
        return InputError(what, where=f"{strategy.id}, {where or self._path}", remedy=remedy or _LOOK)


_LOOK: Final = "look at the server of code (quant-organism trade code-server), then start the session again"
