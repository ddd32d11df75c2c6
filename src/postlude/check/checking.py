"""One check of an application: every rule over every module of its own."""

from collections.abc import Iterator
from typing import Any

from postlude.app.postlude import Postlude
from postlude.check.calls import Puzzle, added_calls
from postlude.check.finding import Finding, NotLookedAt, Report
from postlude.check.rules import adding, routes
from postlude.check.rules.celery import of_celery
from postlude.check.rules.journal import waiting_jobs
from postlude.check.rules.versions import unsupported
from postlude.check.scope import Unknown
from postlude.check.source import Source, own_sources
from postlude.stores.protocol import ReadOnly
from postlude.tasks.registry import Registry


def check(
    postlude: Postlude, application: object = None, journal: ReadOnly | None = None, celery: Any = None
) -> Report:
    """Look for what is certain to be wrong. The application has been imported, and runs nothing.

    Args:
        postlude: of the application.
        application: the FastAPI or Starlette application, for what its routes do beside their tasks.
        journal: to be looked through for jobs that this release cannot run; None: none is.
        celery: an application of Celery's that is moved from; None: there is none.

    Raises:
        JournalUnavailable: the journal cannot be read now.
    """
    registry = postlude.components.registry
    sources = list(own_sources(registry.packages))
    found: list[Finding] = []
    puzzles: list[NotLookedAt] = []
    calls = 0
    for source in sources:
        for each in added_calls(source):
            calls += 1
            if isinstance(each, Puzzle):
                puzzles.append(NotLookedAt(source.file, each.node.lineno, each.why))
                continue
            for one in adding.findings(each, registry):
                if isinstance(one, Unknown):
                    puzzles.append(NotLookedAt(source.file, each.node.lineno, one.why))
                else:
                    found.append(one)
        found += routes.own_backgrounds(source)
    found += _beside(registry, application, journal)
    if celery is not None:
        found += of_celery(celery, sources)
    told = [one for one in dict.fromkeys(found) if not _is_silenced(one, sources)]
    in_order = sorted(told, key=lambda one: (str(one.file or ""), one.line or 0, one.column or 0, one.rule))
    return Report(
        tuple(in_order), calls - len(puzzles), tuple(puzzles), len(dict.fromkeys(found)) - len(told)
    )


def _beside(registry: Registry, application: object, journal: ReadOnly | None) -> Iterator[Finding]:
    for task in registry.declared:
        yield from adding.of_declared(task)
    yield from routes.late_commits(application)
    yield from unsupported()
    if journal is not None:
        yield from waiting_jobs(journal, registry)


def _is_silenced(finding: Finding, sources: list[Source]) -> bool:
    if finding.file is None or finding.line is None:
        return False
    file = finding.file.resolve()
    return any(one.file == file and one.silences(finding.line, finding.rule) for one in sources)
