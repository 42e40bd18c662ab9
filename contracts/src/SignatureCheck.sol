// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IERC1271} from "./interfaces/IERC1271.sol";

/// @title SignatureCheck
/// @notice Tells whether a contract accepts a signature, also one that is not deployed yet: ERC-1271, ERC-6492.
/// @dev Runs as the creation code of an `eth_call` without recipient, whose result is one word: 1 for yes, 0 for
/// no. Whoever asks takes an ERC-6492 signature apart before; for any other, the factory is address zero.
///
/// WARNING: never deployed. It makes anybody's call.
contract SignatureCheck {
    constructor(address signer, bytes32 hash, address factory, bytes memory factoryData, bytes memory signature) {
        bool accepted = _accepts(signer, hash, signature);
        // Not deployed yet, or not yet what the signature is for: ERC-6492 asks for the factory's call only then.
        if (!accepted && factory != address(0)) {
            (bool called,) = factory.call(factoryData);
            accepted = called && _accepts(signer, hash, signature);
        }
        assembly {
            mstore(0, accepted)
            return(0, 0x20)
        }
    }

    function _accepts(address signer, bytes32 hash, bytes memory signature) private view returns (bool) {
        // Without code there is nobody to ask, and a precompiled contract may answer with the question.
        if (signer.code.length == 0) return false;
        (bool called, bytes memory answer) =
            signer.staticcall(abi.encodeCall(IERC1271.isValidSignature, (hash, signature)));
        // The whole word: whoever repeats the question begins with the right four bytes.
        return called && answer.length >= 32 && bytes32(answer) == bytes32(IERC1271.isValidSignature.selector);
    }
}
