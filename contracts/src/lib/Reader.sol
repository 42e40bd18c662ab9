// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title Reader
/// @notice Bounds-checked reads of big-endian values from calldata.
/// @dev Every function returns the value and the position after it.
///
/// WARNING: nothing here may read past the end of the slice it was given. What follows a slice in
/// calldata belongs to somebody else.
library Reader {
    /// @notice The bytes end before the value does.
    error Truncated();

    /// @notice Reads one byte.
    function u8(bytes calldata data, uint256 cursor) internal pure returns (uint256 value, uint256 next) {
        return number(data, cursor, 1);
    }

    /// @notice Reads an integer of `width` bytes; none for width zero. `width` is at most 32.
    function number(bytes calldata data, uint256 cursor, uint256 width)
        internal
        pure
        returns (uint256 value, uint256 next)
    {
        unchecked {
            // `cursor` is a position inside the slice and `width` at most 32: neither sum can wrap.
            next = cursor + width;
            if (next > data.length) revert Truncated();
            value = uint256(_load(data, cursor)) >> (256 - 8 * width);
        }
    }

    /// @notice Reads 32 bytes.
    function word(bytes calldata data, uint256 cursor) internal pure returns (bytes32 value, uint256 next) {
        unchecked {
            next = cursor + 32;
            if (next > data.length) revert Truncated();
            value = _load(data, cursor);
        }
    }

    /// @notice Reads an address.
    function account(bytes calldata data, uint256 cursor) internal pure returns (address value, uint256 next) {
        uint256 raw;
        (raw, next) = number(data, cursor, 20);
        value = address(uint160(raw));
    }

    /// @notice Reads a length of `width` bytes, then that many bytes.
    function sized(bytes calldata data, uint256 cursor, uint256 width)
        internal
        pure
        returns (bytes calldata value, uint256 next)
    {
        uint256 length;
        (length, cursor) = number(data, cursor, width);
        if (length > data.length - cursor) revert Truncated();
        unchecked {
            next = cursor + length;
        }
        value = data[cursor:next];
    }

    // ─── By position in calldata ────────────────────────────────────────────────────────────────────
    //
    // For code that runs in every transaction: a slice as two positions, and one check for several values.
    // Nothing is checked here; whoever loads has compared with the end, or does before using the value.

    /// @notice The positions of a slice's first byte and of the byte after its last.
    function bounds(bytes calldata data) internal pure returns (uint256 cursor, uint256 end) {
        assembly ("memory-safe") {
            cursor := data.offset
            end := add(cursor, data.length)
        }
    }

    /// @notice The slice of `length` bytes at a position.
    function slice(uint256 cursor, uint256 length) internal pure returns (bytes calldata data) {
        assembly ("memory-safe") {
            data.offset := cursor
            data.length := length
        }
    }

    /// @notice Loads a word.
    function load(uint256 cursor) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(cursor)
        }
    }

    /// @notice Loads a byte.
    function load8(uint256 cursor) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, calldataload(cursor))
        }
    }

    /// @notice Reads an integer of `width` bytes before `end`; none for width zero. `width` is at most 32.
    function numberAt(uint256 cursor, uint256 end, uint256 width) internal pure returns (uint256 value, uint256 next) {
        unchecked {
            next = cursor + width;
            if (next > end) revert Truncated();
            value = load(cursor) >> (256 - 8 * width);
        }
    }

    /// @dev Plain equivalent: `bytes32(data[at:at + 32])`, but reading what lies beyond the slice as it
    /// is instead of checking again; the callers have checked, or shift it away.
    function _load(bytes calldata data, uint256 cursor) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := calldataload(add(data.offset, cursor))
        }
    }
}
