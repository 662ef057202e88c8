"""A port before and after somebody serves there."""

from __future__ import annotations

from coco_core.adapter import HTTPRequest, HTTPResponse
from coco_core.node.front_door import FrontDoor


class Greeting:
    def accept(self, request: HTTPRequest) -> HTTPResponse:
        return HTTPResponse(body=b"hello " + request.target.encode())


def answer(door: FrontDoor) -> HTTPResponse:
    found = door.accept(HTTPRequest.get("/you"))
    assert isinstance(found, HTTPResponse)
    return found


async def test_who_waits_for_it_is_served_at_once() -> None:
    door = FrontDoor()
    assert (answer(door).status, answer(door).headers) == (503, {"retry-after": "1"})
    assert not door.opened.is_set()
    door.open(Greeting())
    await door.opened.wait()
    assert (answer(door).status, answer(door).body) == (200, b"hello /you")
