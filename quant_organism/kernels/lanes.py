"""Lanes: eight bars side by side in a compiled kernel, one vector instruction for all of them.

Every operation rounds as it does on single numbers, and sums run in one fixed order, so that results are the same bits
on every processor, whatever the width of its vectors. Outside of compiled kernels nothing here can be called.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES = 8
"""Bars that stand side by side."""

STEP = np.uint64(LANES)
"""From one set of bars to the next, as kernels count places."""

_instruction = cast(Callable[[Callable[..., Any]], Callable[..., Any]], intrinsic)
"""A function of numba's types that returns a signature and what writes its machine code, as a kernel calls it."""

_I32 = ir.IntType(32)
_NUMBERS = ir.VectorType(ir.DoubleType(), LANES)
_TRUTHS = ir.VectorType(ir.IntType(1), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_PLACES = ir.VectorType(ir.IntType(64), LANES)


class Lanes(types.Type):
    """Eight numbers of type float64, as numba sees them."""

    def __init__(self) -> None:
        super().__init__("Lanes")


class Mask(types.Type):
    """Eight truths."""

    def __init__(self) -> None:
        super().__init__("Mask")


lanes, mask = Lanes(), Mask()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _NUMBERS)  # type: ignore[no-untyped-call]


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _TRUTHS)  # type: ignore[no-untyped-call]


def _operators(kind: Any, result: Any, emit: dict[Any, Callable[[Any, Any, Any], Any]]) -> None:
    for symbol, instruction in emit.items():

        class Typing(ConcreteTemplate):
            cases = [signature(result, kind, kind)]  # noqa: RUF012

        def lower(context: Any, builder: Any, _: Any, args: Any, instruction: Any = instruction) -> Any:
            return instruction(builder, *args)

        infer_global(symbol)(Typing)
        lower_builtin(symbol, kind, kind)(lower)


_operators(
    lanes,
    lanes,
    {
        operator.add: lambda builder, x, y: builder.fadd(x, y),
        operator.iadd: lambda builder, x, y: builder.fadd(x, y),
        operator.sub: lambda builder, x, y: builder.fsub(x, y),
        operator.mul: lambda builder, x, y: builder.fmul(x, y),
        operator.truediv: lambda builder, x, y: builder.fdiv(x, y),
    },
)
_operators(
    lanes,
    mask,
    {
        operator.le: lambda builder, x, y: builder.fcmp_ordered("<=", x, y),
        operator.ge: lambda builder, x, y: builder.fcmp_ordered(">=", x, y),
        operator.gt: lambda builder, x, y: builder.fcmp_ordered(">", x, y),
    },
)
_operators(mask, mask, {operator.or_: lambda builder, x, y: builder.or_(x, y)})


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _shuffled(builder: Any, x: Any, y: Any, places: list[int]) -> Any:
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_I32, len(places)), places))


def _maximum(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


def _minimum(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", x, y), x, y)


def _folded(builder: Any, values: Any, fold: Callable[[Any, Any, Any], Any]) -> Any:
    # Halves are folded onto each other until one is left.
    size = LANES // 2
    while size:
        low = _shuffled(builder, values, values, list(range(size)))
        high = _shuffled(builder, values, values, list(range(size, 2 * size)))
        values, size = fold(builder, low, high), size // 2
    return builder.extract_element(values, ir.Constant(_I32, 0))


def _address(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@_instruction
def splat(typing: Any, value: float) -> Any:
    """Return lanes that all hold `value`."""
    return lanes(types.float64), lambda context, builder, _, args: _spread(builder, args[0], _NUMBERS)


@_instruction
def before(typing: Any, place: int, end: int) -> Any:
    """Return in which lanes a bar stands that is before `end`, where lane 0 is bar `place`."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        places = builder.add(_spread(builder, args[0], _PLACES), ir.Constant(_PLACES, list(range(LANES))))
        return builder.icmp_unsigned("<", places, _spread(builder, args[1], _PLACES))

    return mask(types.uint64, types.uint64), generate


@_instruction
def load(typing: Any, array: Any, place: int, inside: Any, elsewhere: float) -> Any:
    """Return an array from `place` on in the lanes that are inside, without touching it `elsewhere`."""

    def generate(context: Any, builder: Any, kind: Any, args: Any) -> Any:
        address = _address(context, builder, kind.args[0], *args[:2])
        rest = _spread(builder, args[3], _NUMBERS)
        name = f"llvm.masked.load.v{LANES}f64.p0"
        return _call(builder, name, _NUMBERS, [address, ir.Constant(_I32, 8), args[2], rest])

    return lanes(array, types.uint64, mask, types.float64), generate


@_instruction
def store(typing: Any, array: Any, place: int, inside: Any, values: Any) -> Any:
    """Write lanes into an array from `place` on where they are inside."""

    def generate(context: Any, builder: Any, kind: Any, args: Any) -> Any:
        address = _address(context, builder, kind.args[0], *args[:2])
        name = f"llvm.masked.store.v{LANES}f64.p0"
        _call(builder, name, ir.VoidType(), [args[3], address, ir.Constant(_I32, 8), args[2]])
        return context.get_dummy_value()

    return types.void(array, types.uint64, mask, lanes), generate


@_instruction
def set_true(typing: Any, array: Any, place: int, inside: Any) -> Any:
    """Set truths from `place` on where lanes are inside."""

    def generate(context: Any, builder: Any, kind: Any, args: Any) -> Any:
        address = _address(context, builder, kind.args[0], *args[:2])
        ones = ir.Constant(_BYTES, [1] * LANES)
        name = f"llvm.masked.store.v{LANES}i8.p0"
        _call(builder, name, ir.VoidType(), [ones, address, ir.Constant(_I32, 1), args[2]])
        return context.get_dummy_value()

    return types.void(array, types.uint64, mask), generate


@_instruction
def where(typing: Any, condition: Any, x: Any, y: Any) -> Any:
    """Return `x` where the condition holds, else `y`."""
    return lanes(mask, lanes, lanes), lambda context, builder, _, args: builder.select(*args)


@_instruction
def maximum(typing: Any, x: Any, y: Any) -> Any:
    """Return the larger of two, lane by lane."""
    return lanes(lanes, lanes), lambda context, builder, _, args: _maximum(builder, *args)


@_instruction
def minimum(typing: Any, x: Any, y: Any) -> Any:
    """Return the smaller of two, lane by lane."""
    return lanes(lanes, lanes), lambda context, builder, _, args: _minimum(builder, *args)


@_instruction
def root(typing: Any, values: Any) -> Any:
    """Return the square root of each lane."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        return _call(builder, f"llvm.sqrt.v{LANES}f64", _NUMBERS, list(args))

    return lanes(lanes), generate


@_instruction
def shifted(typing: Any, values: Any, earlier: Any) -> Any:
    """Return in each lane what the lane before holds, in the first what is in the last of the bars `earlier`."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        return _shuffled(builder, args[1], args[0], list(range(LANES - 1, 2 * LANES - 1)))

    return lanes(lanes, lanes), generate


@_instruction
def running_maximum(typing: Any, values: Any) -> Any:
    """Return in each lane the largest of it and the lanes before."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        (running,) = args
        span = 1
        while span < LANES:
            # The first lanes meet themselves.
            places = [max(k - span, 0) if k >= span else k for k in range(LANES)]
            running, span = _maximum(builder, running, _shuffled(builder, running, running, places)), 2 * span
        return running

    return lanes(lanes), generate


@_instruction
def first(typing: Any, condition: Any) -> Any:
    """Return the number of the first lane in which a condition holds, `LANES` if there is none."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        kind = ir.IntType(64)
        bits = builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), kind)
        bits = builder.or_(bits, ir.Constant(kind, 1 << LANES))
        return _call(builder, "llvm.cttz.i64", kind, [bits, ir.Constant(ir.IntType(1), 1)])

    return types.uint64(mask), generate


@_instruction
def lane(typing: Any, values: Any, number: int) -> Any:
    """Return what one lane holds."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        return builder.extract_element(*args)

    return types.float64(lanes, types.uint64), generate


@_instruction
def total(typing: Any, values: Any) -> Any:
    """Return the sum of all lanes."""

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        return _folded(builder, args[0], lambda builder, x, y: builder.fadd(x, y))

    return types.float64(lanes), generate


@_instruction
def greatest(typing: Any, values: Any) -> Any:
    """Return the largest of all lanes."""
    return types.float64(lanes), lambda context, builder, _, args: _folded(builder, args[0], _maximum)


@_instruction
def least(typing: Any, values: Any) -> Any:
    """Return the smallest of all lanes."""
    return types.float64(lanes), lambda context, builder, _, args: _folded(builder, args[0], _minimum)
