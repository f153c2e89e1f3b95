"""Visitors without a browser: sessions of the page over its socket, so that many fit on one machine."""

from collections.abc import Iterator
from typing import Self
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol


class Session:
    """One visitor; what the last drawing of the page sent is kept.

    Attributes:
        messages: of the last drawing, in their order.
    """

    def __init__(self, socket: ClientConnection, link: str) -> None:
        self._socket = socket
        self._link = link
        self.messages: list[ForwardMsg] = []

    @classmethod
    async def open(cls, url: str, **link: str) -> Self:
        """Visit the page at ``url`` by a link and wait until it is drawn."""
        socket = await connect(
            url.replace("http", "ws", 1) + "_stcore/stream",
            origin=Origin(url.rstrip("/")),
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
            proxy=None,
        )
        session = cls(socket, urlencode(link))
        await session.draw()
        return session

    async def draw(self, press: str | None = None) -> None:
        """Have the page drawn again and wait for it.

        Args:
            press: id of a button to press.
        """
        asked = BackMsg()
        asked.rerun_script.query_string = self._link
        if press is not None:
            asked.rerun_script.widget_states.widgets.add(id=press, trigger_value=True)
        await self._socket.send(asked.SerializeToString())
        self.messages = []
        while not self.messages or self.messages[-1].WhichOneof("type") != "script_finished":
            message = ForwardMsg()
            message.ParseFromString(await self._socket.recv(decode=False))
            self.messages.append(message)

    async def press(self, label: str) -> None:
        """Press the button with that label."""
        (button,) = (
            message.delta.new_element.button.id
            for message in self.messages
            if message.delta.new_element.button.label == label
        )
        await self.draw(press=button)

    def html(self) -> str:
        """The page's own markup."""
        return "\n".join(self._html())

    def _html(self) -> Iterator[str]:
        for message in self.messages:
            yield message.delta.new_element.html.body

    async def close(self) -> None:
        """Leave the page."""
        await self._socket.close()
