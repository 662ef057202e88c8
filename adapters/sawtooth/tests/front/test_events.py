"""Filters of events: which pass, which cannot be applied, and that none takes for ever."""

from __future__ import annotations

import time

import pytest

from coco_core.errors import MalformedError
from coco_sawtooth.events import Interest
from coco_sawtooth.limits import SUBSCRIPTION_EXPRESSION_MAX_CHARS, SUBSCRIPTION_FILTERS_MAX
from coco_sawtooth.messages import Event, EventFilter, EventSubscription


def event(*values: str, event_type: str = "t", key: str = "k") -> Event:
    return Event(
        event_type=event_type, attributes=[Event.Attribute(key=key, value=value) for value in values]
    )


def interest(*filters: tuple[str, str]) -> Interest:
    told = [
        EventFilter(key="k", match_string=text, filter_type=getattr(EventFilter, kind))
        for kind, text in filters
    ]
    return Interest.read([EventSubscription(event_type="t", filters=told)])


@pytest.mark.parametrize(
    ("kind", "text", "values", "passes"),
    [
        ("SIMPLE_ANY", "a", ["b", "a"], True),
        ("SIMPLE_ANY", "a", ["ab"], False),
        ("SIMPLE_ANY", "a", [], False),
        ("SIMPLE_ALL", "a", ["a", "a"], True),
        ("SIMPLE_ALL", "a", ["a", "b"], False),
        ("SIMPLE_ALL", "a", [], True),
        ("REGEX_ANY", "^1cf.*f$", ["x", "1cf...f"], True),
        ("REGEX_ANY", "b", ["abc"], True),
        ("REGEX_ANY", "b", [], False),
        ("REGEX_ALL", "b", ["abc", "c"], False),
        ("REGEX_ALL", "b", [], True),
        ("REGEX_ANY", "\u00e9", ["caf\u00e9"], True),
    ],
)
def test_filters(kind, text, values, passes) -> None:
    assert bool(interest((kind, text)).of([event(*values)])) is passes


def test_all_filters_of_one_subscription_have_to_pass_and_one_subscription_is_enough() -> None:
    both = interest(("SIMPLE_ANY", "a"), ("SIMPLE_ANY", "b"))
    assert both.of([event("a"), event("a", "b")]) == [event("a", "b")]
    either = Interest.read([EventSubscription(event_type="t"), EventSubscription(event_type="u")])
    told = [event("x", event_type="u"), event("x", event_type="v"), event("x")]
    assert either.of(told) == [told[0], told[2]]
    assert interest(("SIMPLE_ANY", "a")).of([event("a", key="other")]) == []


@pytest.mark.parametrize(
    "told",
    [
        EventFilter(match_string="(", filter_type=EventFilter.REGEX_ANY),
        EventFilter(match_string=r"(a)\1", filter_type=EventFilter.REGEX_ALL),
        EventFilter(match_string="(((a{100}){100}){100})", filter_type=EventFilter.REGEX_ANY),
        EventFilter(
            match_string="a" * (SUBSCRIPTION_EXPRESSION_MAX_CHARS + 1), filter_type=EventFilter.REGEX_ANY
        ),
        EventFilter(match_string="a"),
    ],
    ids=["syntax", "reference", "size", "length", "no type"],
)
def test_filters_that_cannot_be_applied(told) -> None:
    with pytest.raises(MalformedError):
        Interest.read([EventSubscription(event_type="t", filters=[told])])


def test_subscriptions_are_bounded() -> None:
    with pytest.raises(MalformedError, match="subscriptions and filters"):
        Interest.read([EventSubscription(event_type="t")] * (SUBSCRIPTION_FILTERS_MAX + 1))


def test_no_expression_takes_for_ever() -> None:
    evil = interest(("REGEX_ANY", "^(a+)+$"))
    begin = time.process_time()
    assert evil.of([event("a" * 100_000 + "b")]) == []
    assert time.process_time() - begin < 2
