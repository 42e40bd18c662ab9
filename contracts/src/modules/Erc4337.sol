// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IEntryPoint, PackedUserOperation} from "../interfaces/IEntryPoint.sol";
import {Payload} from "../lib/Payload.sol";
import {Calls} from "./Calls.sol";

/// @title Erc4337
/// @notice Lets a wallet be operated through the ERC-4337 entry points v0.7 and v0.8.
/// @dev An operation is approved as the digest that the entry point computed, so signers sign a message whose
/// preimage names entry point and chain. The entry point counts nonces; the wallet's own stay as they are.
///
/// WARNING: an entry point that is set may run any calls as the wallet: everything depends on it running only
/// what `validateUserOp` approved. In the contexts without ERC-4337 both are zero.
abstract contract Erc4337 is Calls {
    /// @notice Neither entry point is set.
    error ERC4337Disabled();
    /// @notice Somebody else than an entry point called.
    error InvalidEntryPoint(address sender);

    /// @notice Entry point v0.7, or zero.
    address public immutable ENTRY_POINT_V07;
    /// @notice Entry point v0.8, or zero.
    address public immutable ENTRY_POINT_V08;

    uint256 private constant SIG_VALIDATION_FAILED = 1;

    constructor(address entryPointV07, address entryPointV08) {
        ENTRY_POINT_V07 = entryPointV07;
        ENTRY_POINT_V08 = entryPointV08;
    }

    modifier onlyEntryPoint() {
        // The zero address calls nobody: an entry point that is not set cannot be the sender.
        if (msg.sender != ENTRY_POINT_V07 && msg.sender != ENTRY_POINT_V08) {
            if (ENTRY_POINT_V07 == address(0) && ENTRY_POINT_V08 == address(0)) revert ERC4337Disabled();
            revert InvalidEntryPoint(msg.sender);
        }
        _;
    }

    /// @notice Whether the wallet's configuration approves an operation. Pays what the entry point lacks.
    /// @param userOp The operation; only its signature is read, the hash stands for the rest.
    /// @param userOpHash The operation's hash as the entry point computes it.
    /// @param missingAccountFunds What to deposit for the wallet, in wei.
    /// @return validationData 0 if approved, 1 if the signature belongs to another configuration.
    function validateUserOp(
        PackedUserOperation calldata userOp,
        bytes32 userOpHash,
        uint256 missingAccountFunds
    ) external onlyEntryPoint returns (uint256 validationData) {
        if (missingAccountFunds != 0) {
            IEntryPoint(msg.sender).depositTo{value: missingAccountFunds}(address(this));
        }
        Payload.Decoded memory payload = Payload.fromDigest(userOpHash);
        (bool valid,) = _validate(payload, Payload.structHash(payload), userOp.signature);
        return valid ? 0 : SIG_VALIDATION_FAILED;
    }

    /// @notice Runs the packed calls of an operation that was approved; space and nonce are not used up.
    function executeUserOp(bytes calldata packed) external payable onlyEntryPoint locked {
        (Payload.Decoded memory payload, bytes32 body) = Payload.fromPackedCalls(packed);
        _run(payload, Payload.hashOf(body, false, address(this)));
    }
}
