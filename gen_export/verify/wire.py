"""Protocol Buffers' wire format: a message is a row of fields, each a number, a wire type and a value.

Source: protobuf.dev, "Encoding". Values are views of the file's bytes, so weights are not copied.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from gen_runtime.errors import FileError

Value = int | memoryview
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
_LARGEST_NUMBER = 2**29 - 1
_VARINT_BYTES = 10


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: Which field it is.
        kind: Its wire type.
        value: The number of a varint, below 2^64; else the bytes.
        raw: The whole field as it stands in the message.
    """

    number: int
    kind: int
    value: Value
    raw: memoryview


class Message:
    """A message in memory.

    Args:
        data: Its bytes.
        source: The file it came from, for messages.
    """

    def __init__(self, data: bytes | memoryview, source: str) -> None:
        self.data = memoryview(data)
        self.source = source

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The fields in order.

        Raises:
            FileError: The bytes are no message.
        """
        return tuple(self._read_fields())

    def values(self, number: int, *kinds: int) -> list[Value]:
        """The values of the fields of this number, which have one of these wire types.

        Raises:
            FileError: The bytes are no message, or a field has another wire type.
        """
        found = [field for field in self.fields if field.number == number]
        for field in found:
            if field.kind not in kinds:
                raise self.broken(f"field {number} has the wire type {field.kind}, expected {kinds[0]}")
        return [field.value for field in found]

    def chunks(self, number: int, *kinds: int) -> list[memoryview]:
        """The bytes of a repeated field; of numbers of fixed size too, where `kinds` says so."""
        return [value for value in self.values(number, BYTES, *kinds) if isinstance(value, memoryview)]

    def messages(self, number: int) -> list["Message"]:
        """The messages of a repeated field."""
        return [Message(chunk, self.source) for chunk in self.chunks(number)]

    def child(self, field: Field) -> "Message":
        """The message that one of the fields holds."""
        if not isinstance(field.value, memoryview):
            raise self.broken(f"field {field.number} is a number, expected bytes")
        return Message(field.value, self.source)

    def message(self, number: int) -> "Message":
        """The message of a single field; where it stands twice the two merge, which is to be read in a row."""
        chunks = self.chunks(number)
        return Message(chunks[0] if len(chunks) == 1 else b"".join(chunks), self.source)

    def texts(self, number: int) -> list[str]:
        """The texts of a repeated field."""
        try:
            return [str(chunk, "utf-8") for chunk in self.chunks(number)]
        except UnicodeDecodeError as error:
            raise self.broken(f"field {number} is not UTF-8 text") from error

    def text(self, number: int) -> str:
        """The text of a single field: the last wins; empty where there is none."""
        return (self.texts(number) or [""])[-1]

    def integers(self, number: int) -> list[int]:
        """The integers of a repeated field, packed or not, as words of 0 to 2^64 - 1."""
        words: list[int] = []
        for value in self.values(number, VARINT, BYTES):
            if isinstance(value, int):
                words.append(value)
            else:
                words += Message(value, self.source)._read_varints()
        return words

    def integer(self, number: int) -> int:
        """The signed integer of a single field: the last wins; 0 where there is none."""
        return signed((self.integers(number) or [0])[-1])

    def broken(self, complaint: str) -> FileError:
        """The error that says what is wrong with the file."""
        return FileError(f"{self.source}: no readable ONNX file: {complaint}")

    def _read_fields(self) -> Iterator[Field]:
        start = 0
        while start < len(self.data):
            tag, at = self._varint(start)
            number, kind = tag >> 3, tag & 7
            if not 1 <= number <= _LARGEST_NUMBER:
                raise self.broken(f"a field has the number {number}")
            if kind == VARINT:
                value, at = self._varint(at)
            else:
                size, at = self._varint(at) if kind == BYTES else (self._fixed_size(kind), at)
                value, at = self._take(at, size)
            yield Field(number, kind, value, self.data[start:at])
            start = at

    def _read_varints(self) -> Iterator[int]:
        at = 0
        while at < len(self.data):
            word, at = self._varint(at)
            yield word

    def _varint(self, at: int) -> tuple[int, int]:
        """The varint that starts here, and where it ends: 7 bits a byte, the low ones first."""
        word = 0
        for place, byte in enumerate(self.data[at : at + _VARINT_BYTES]):
            word |= (byte & 127) << 7 * place
            if byte < 128:
                return word % 2**64, at + place + 1
        raise self.broken("it ends inside a number" if len(self.data) - at < _VARINT_BYTES else "a number is too long")

    def _take(self, at: int, size: int) -> tuple[memoryview, int]:
        """The next bytes, and where they end."""
        if size > len(self.data) - at:
            raise self.broken(f"a field of {size} bytes ends after {len(self.data) - at}")
        return self.data[at : at + size], at + size

    def _fixed_size(self, kind: int) -> int:
        if kind not in _FIXED_SIZES:
            raise self.broken(f"a field has the wire type {kind}")
        return _FIXED_SIZES[kind]


def signed(word: int) -> int:
    """The int64 whose bits are those of a word of 0 to 2^64 - 1."""
    return word - 2**64 if word >= 2**63 else word


def written(number: int, value: int | bytes) -> bytes:
    """A field as bytes: an integer of 0 to 2^64 - 1 as a varint, else the bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value)
    return header(number, len(value)) + value


def header(number: int, size: int) -> bytes:
    """What stands before the bytes of a field, this many."""
    return _varint(number << 3 | BYTES) + _varint(size)


def _varint(word: int) -> bytes:
    groups = bytearray()
    while word > 127:
        groups.append(word & 127 | 128)
        word >>= 7
    return bytes([*groups, word])
