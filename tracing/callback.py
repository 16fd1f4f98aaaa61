"""One document's tree, drawn from LangGraph's callbacks of its nodes and the tracer's record of its calls."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphBubbleUp

from autodata.models.call import Call
from autodata.tracing.spans import Score, Span, SpanKind, SpanSink, SpanStatus, never_raises, without_empty

OPENS_A_ROUND = "challenger"
"""The node that begins round `n + 1` of the state it is given."""

BEGUN_AHEAD = "verifier"
"""The node whose calls may be begun while the one before it works: its span begins with the first of them."""

_SHOWN = ("candidate", "quality", "verdict", "judgement", "rejection", "feedback", "status", "status_reason", "extract")
"""What of a node's update is exported: small, and texts that a person wants to see."""


class DocumentTrace(BaseCallbackHandler):
    """Called by LangGraph at every node; opens a round's span with its first node and closes it with its last."""

    run_inline = True
    ignore_llm = ignore_chat_model = ignore_retriever = ignore_agent = ignore_custom_event = True

    def __init__(self, sink: SpanSink, root: Span) -> None:
        self._sink, self._root = sink, root
        self._round: Span | None = None
        self._nodes: dict[UUID, Span] = {}
        self._ahead: Span | None = None  # of the node that is to come, where calls of it were begun
        self._marked: dict[UUID, set[str]] = {}  # verifier's run -> attempts that had a mark before
        self._attempts: dict[tuple[int, str, str], Span] = {}  # round, role, index -> the call that made the attempt

    def parent_of(self, call: Call) -> Span:
        """Return the span that a call belongs under: its node's, which is the latest that is open."""
        of_name = [span for span in self._nodes.values() if span.name == call.site.node]
        if not of_name and call.site.node == BEGUN_AHEAD and self._round is not None:
            return self._begun_ahead(self._round)
        return (of_name or [*self._nodes.values()] or [self._round or self._root])[-1]

    def _begun_ahead(self, parent: Span) -> Span:
        if self._ahead is None:
            before = next(reversed(self._nodes.values()), None)
            self._ahead = self._node(BEGUN_AHEAD, parent, before.inputs if before else {})
        return self._ahead

    def _node(self, name: str, parent: Span, inputs: Any) -> Span:
        """Begin a node's span. `parent` is its round's, or the document's before the first."""
        n = parent.n if parent is self._round else 0
        span = Span(SpanKind.NODE, name, parent.thread_id, parent.document_id, parent, n=n, epoch=self._root.epoch)
        span.metadata, span.inputs = {"node": name}, inputs
        self._sink.start(span)
        return span

    def answered(self, span: Span, call: Call) -> None:
        """Remember which call made an attempt: its last one, where there are several."""
        site = call.site
        if call.reply and site.node == site.role:
            self._attempts[site.n, site.role, site.index.partition("/")[0]] = span

    @never_raises
    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        **more: Any,
    ) -> None:
        """Open a node's span; the edges behind it and the graph itself are none."""
        if name is None or name != (metadata or {}).get("langgraph_node") or not isinstance(inputs, Mapping):
            return
        n = int(inputs.get("n") or 0) + (name == OPENS_A_ROUND)
        if n and (self._round is None or self._round.n != n):
            self._leave_round()
            self._round = Span(SpanKind.ROUND, f"round {n}", self._root.thread_id, self._root.document_id, self._root)
            self._round.n, self._round.epoch = n, self._root.epoch
            self._sink.start(self._round)
        if name == BEGUN_AHEAD and self._ahead is not None:
            span, self._ahead = self._ahead, None
        else:
            shown = without_empty({"round": n, "question": (inputs.get("candidate") or {}).get("question")})
            span = self._node(name, self._round or self._root, shown)
        self._nodes[run_id] = span
        self._marked[run_id] = {a["attempt_id"] for a in inputs.get("attempts") or () if a.get("mark")}

    @never_raises
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """Close a node's span; and the round's with it, when the node has closed the round."""
        span = self._nodes.pop(run_id, None)
        if span is None:
            return
        update = outputs if isinstance(outputs, Mapping) else {}
        known = self._marked.pop(run_id, set())
        span.outputs = without_empty({name: update.get(name) for name in _SHOWN})
        rejection, verdict = update.get("rejection") or {}, update.get("verdict") or {}
        span.outcome = rejection.get("failure_mode") or verdict.get("decision") or update.get("status") or ""
        for attempt in update.get("attempts") or ():
            if attempt.get("mark") and attempt["attempt_id"] not in known:
                self._score(attempt, span.n)
        self._sink.end(span)
        closed = (update.get("rounds") or [{}])[-1]
        if self._round is not None and closed.get("n") == self._round.n:
            self._close_round(closed, str(update.get("feedback") or ""))
        if status := update.get("status"):
            reason = update.get("status_reason") or ""
            self._root.outcome = f"{status}: {reason}" if reason else status
            self._root.metadata |= {"verdict": status}
            self._root.tags += [f"verdict:{status}"]
            self._root.outputs = without_empty({"status": status, "reason": reason, "example": update.get("example")})

    @never_raises
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Close a node's span with what it raised. A node that asks a person and waits has not failed."""
        self._marked.pop(run_id, None)
        if (span := self._nodes.pop(run_id, None)) is None:
            return
        if isinstance(error, GraphBubbleUp):
            span.status, span.outcome = SpanStatus.STOPPED, "waits"
            self._sink.end(span)
        else:
            self._sink.end(span, error)

    @never_raises
    def close(self, error: BaseException | None) -> None:
        """Close whatever is open, the document's span last."""
        if self._ahead is not None:
            if error is None:
                self._ahead.status = SpanStatus.STOPPED
            self._sink.end(self._ahead, error)
        for span in reversed(self._nodes.values()):
            self._sink.end(span, error)
        self._leave_round(error)
        self._root.metadata |= {"rounds": self._root.n}
        if error is None and (verdict := self._root.metadata.get("verdict")):
            self._sink.score(self._root, Score("accepted", float(verdict == "accepted"), self._root.outcome))
        self._sink.end(self._root, error)

    def _leave_round(self, error: BaseException | None = None) -> None:
        if self._round is not None:
            if error is None:
                self._round.status = SpanStatus.STOPPED
            self._sink.end(self._round, error)
            self._round = None

    def _close_round(self, closed: Mapping[str, Any], feedback: str) -> None:
        span, self._round = self._round, None
        assert span is not None
        mode = closed.get("failure_mode")
        verdict = "rejected" if mode else "accepted"
        span.outcome = mode or verdict
        figures = {name: _number(closed.get(name)) for name in ("weak_mean", "strong_mean", "gap")}
        span.metadata |= {"verdict": verdict, "round_id": closed["round_id"]} | without_empty(
            {"failure_mode": mode, **figures}
        )
        span.tags += [f"verdict:{verdict}", *([f"failure_mode:{mode}"] if mode else [])]
        span.outputs = without_empty(
            {"failure_mode": mode, "reason": closed.get("reason"), "feedback": feedback, **figures}
        )
        scores = [Score(name, value) for name, value in figures.items() if value is not None]
        scores.append(Score("verdict", float(not mode), mode or verdict, str(closed.get("reason") or "")))
        for score in scores:
            self._sink.score(span, score)
        span.scores += scores
        self._root.n = max(self._root.n, span.n)
        self._sink.end_round(span, closed["round_id"])

    def _score(self, attempt: Mapping[str, Any], n: int) -> None:
        """Attach a mark to the call that made the attempt; to the round, where another session made it."""
        stage, index, mark = attempt["stage"], str(attempt["index"]), attempt["mark"]
        score = float(Fraction(mark["score"]))
        made_by, of_round = self._attempts.get((n, f"{stage}_solver", index)), Score(f"score_{stage}_{index}", score)
        if self._round is not None:
            self._round.scores.append(of_round)
        if made_by is not None:
            self._sink.score(made_by, Score("score", score, comment=f"decided by {mark['decided_by']}"))
        elif self._round is not None:
            self._sink.score(self._round, of_round)


def _number(value: Any) -> float | None:
    return None if value is None else float(Fraction(value))
