// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title Storage
/// @notice Fixed slots and maps over them, shared by every implementation a wallet may have.
///
/// WARNING: the keys are part of the wire format. A wallet that changes implementation keeps them.
library Storage {
    /// @notice Reads a slot.
    function read(bytes32 key) internal view returns (bytes32 value) {
        assembly ("memory-safe") {
            value := sload(key)
        }
    }

    /// @notice Writes a slot.
    function write(bytes32 key, bytes32 value) internal {
        assembly ("memory-safe") {
            sstore(key, value)
        }
    }

    /// @notice Reads an entry of the map at `key`.
    function readMap(bytes32 key, bytes32 entry) internal view returns (bytes32) {
        return read(slot(key, entry));
    }

    /// @notice Writes an entry of the map at `key`.
    function writeMap(bytes32 key, bytes32 entry, bytes32 value) internal {
        write(slot(key, entry), value);
    }

    /// @notice The slot of an entry of the map at `key`.
    /// @dev Plain equivalent: `keccak256(abi.encode(key, entry))`.
    function slot(bytes32 key, bytes32 entry) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            mstore(0x00, key)
            mstore(0x20, entry)
            result := keccak256(0x00, 0x40)
        }
    }
}
