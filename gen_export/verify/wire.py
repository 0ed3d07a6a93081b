"""Protocol Buffers' wire format: a message is a row of fields, each a number, a wire type and a value.

Source: protobuf.dev, "Encoding". Values are views of the file's bytes, so weights are not copied.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gen_runtime.errors import FileError

Value = int | memoryview
Words = npt.NDArray[np.uint64]
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
_LARGEST_NUMBER = 2**29 - 1
MOST_FIELDS = 2**20
"""Fields of one message that are read, each a third of a kilobyte in memory: a graph has one a node and a weight."""
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
            FileError: The bytes are no message, or one of too many fields.
        """
        fields = tuple(islice(self._read_fields(), MOST_FIELDS + 1))
        if len(fields) > MOST_FIELDS:
            raise self.broken(f"a message has more than {MOST_FIELDS} fields")
        return fields

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

    def words(self, number: int) -> Words:
        """The integers of a repeated field, packed or not, as words of 0 to 2^64 - 1."""
        values = self.values(number, VARINT, BYTES)
        rows = [[value] if isinstance(value, int) else self._unpacked(value) for value in values]
        return np.concatenate([np.zeros(0, np.uint64), *(np.asarray(row, np.uint64) for row in rows)])

    def integers(self, number: int) -> list[int]:
        """The signed integers of a repeated field."""
        return self.words(number).view(np.int64).tolist()

    def integer(self, number: int) -> int:
        """The signed integer of a single field: the last wins; 0 where there is none."""
        words = self.words(number)
        return int(words.view(np.int64)[-1]) if len(words) else 0

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

    def _unpacked(self, data: memoryview) -> Words:
        """Varints side by side as words: 7 bits a byte, the low ones first."""
        row = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(row < 128) + 1
        sizes = np.diff(ends, prepend=0)
        if len(row) and row[-1] >= 128:
            raise self.broken("it ends inside a number")
        if sizes.max(initial=0) > _VARINT_BYTES:
            raise self.broken("a number is too long")
        words = np.zeros(len(ends), np.uint64)
        for place in range(sizes.max(initial=0)):
            longer = sizes > place
            bits = row[(ends - sizes)[longer] + place] & 127
            words[longer] |= bits.astype(np.uint64) << np.uint64(7 * place)
        return words

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
