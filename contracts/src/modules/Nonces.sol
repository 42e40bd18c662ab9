// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Storage} from "../lib/Storage.sol";

/// @title Nonces
/// @notice Independent counters; each approved batch of calls counts once.
///
/// WARNING: a batch that reverts leaves its nonce as it was: it can be sent again until the nonce was used.
abstract contract Nonces {
    /// @notice The nonce is not the next of its space.
    error BadNonce(uint256 space, uint256 provided, uint256 current);

    /// @notice A nonce was used.
    event NonceChange(uint256 space, uint256 newNonce);

    /// @dev keccak256("org.arcadeum.module.calls.nonce")
    bytes32 private constant NONCES = 0x8d0bf1fd623d628c741362c1289948e57b3e2905218c676d3e69abee36d6ae2e;

    /// @notice The next nonce of a space.
    function readNonce(uint256 space) public view returns (uint256) {
        return uint256(Storage.readMap(NONCES, bytes32(space)));
    }

    /// @dev Uses the nonce up, or reverts.
    function _consumeNonce(uint256 space, uint256 nonce) internal {
        bytes32 slot = Storage.slot(NONCES, bytes32(space));
        uint256 current = uint256(Storage.read(slot));
        if (nonce != current) revert BadNonce(space, nonce, current);
        unchecked {
            // A packed nonce has at most 56 bits.
            uint256 next = nonce + 1;
            Storage.write(slot, bytes32(next));
            // Plain equivalent: emit NonceChange(space, next);
            bytes32 topic = NonceChange.selector;
            assembly ("memory-safe") {
                mstore(0x00, space)
                mstore(0x20, next)
                log1(0x00, 0x40, topic)
            }
        }
    }
}
