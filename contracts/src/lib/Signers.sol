// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IERC1271} from "../interfaces/IERC1271.sol";

/// @dev Half the order of secp256k1: an `s` above it is another form of a signature with one below.
uint256 constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

/// @title Signers
/// @notice Whether a signer, key or contract, signed a digest.
///
/// WARNING: a failed ecrecover and an upper-half `s` never count, and address zero never signs.
library Signers {
    /// @notice The key that signed, or zero. ERC-2098: the top bit of `parityAndS` is the parity.
    function recover(bytes32 digest, bytes32 r, bytes32 parityAndS) internal view returns (address signer) {
        uint256 s = uint256(parityAndS) & type(uint256).max >> 1;
        if (s > HALF_ORDER) return address(0);
        // Without the copies and checks around the precompile, which answers nothing when it fails: that leaves
        // the zero that was put there. Plain equivalent:
        //   signer = ecrecover(digest, uint8(27 + (uint256(parityAndS) >> 255)), r, bytes32(s));
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, digest)
            mstore(add(free, 0x20), add(27, shr(255, parityAndS)))
            mstore(add(free, 0x40), r)
            mstore(add(free, 0x60), s)
            mstore(0x00, 0)
            pop(staticcall(gas(), 1, free, 0x80, 0x00, 0x20))
            signer := mload(0x00)
        }
    }

    /// @notice Whether `signer` signed: 64 bytes by its key (ERC-2098), otherwise by its code (ERC-1271).
    function signed(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (signer == address(0)) return false;
        if (signature.length == 64) {
            (bytes32 r, bytes32 parityAndS) = abi.decode(signature, (bytes32, bytes32));
            if (recover(digest, r, parityAndS) == signer) return true;
        }
        if (signer.code.length == 0) return false;
        (bool success, bytes memory answer) =
            signer.staticcall(abi.encodeCall(IERC1271.isValidSignature, (digest, signature)));
        return success && answer.length >= 32 && bytes32(answer) == bytes32(IERC1271.isValidSignature.selector);
    }
}
