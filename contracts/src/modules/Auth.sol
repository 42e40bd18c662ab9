// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IERC1271} from "../interfaces/IERC1271.sol";
import {ISapient} from "../interfaces/ISapient.sol";
import {Payload} from "../lib/Payload.sol";
import {Signature} from "../lib/Signature.sol";
import {StaticSignatures} from "./StaticSignatures.sol";

/// @title Auth
/// @notice Who may act for the wallet: signatures of its configuration, for calls, for messages, and for
/// wallets that have this one as a signer.
///
/// WARNING: an ERC-1271 answer binds the wallet to whatever the asker made the hash from. Signers should be
/// shown a message, never a bare hash.
abstract contract Auth is IERC1271, ISapient, StaticSignatures {
    using Payload for Payload.Decoded;

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice The signers' weight does not reach the threshold.
    error InvalidSignatureWeight(uint256 threshold, uint256 weight);
    /// @notice The signature belongs to another configuration.
    error InvalidSignature(Payload.Decoded payload, bytes signature);
    /// @notice The signature belongs to another configuration; asked by a wallet above this one.
    error InvalidSapientSignature(Payload.Decoded payload, bytes signature);

    /// @dev What a wallet above this one finds in its own tree in place of a root.
    bytes32 private constant SAPIENT_ROOT = bytes32(uint256(1));

    // ─── Configuration ──────────────────────────────────────────────────────────────────────────────

    /// @dev Whether the configuration with this hash is the wallet's.
    function _isValidImage(bytes32 imageHash) internal view virtual returns (bool);

    // ─── Validation ─────────────────────────────────────────────────────────────────────────────────

    /// @dev Sets `payload.noChainId` as the signature says.
    /// @param body The payload's struct hash.
    function _validate(Payload.Decoded memory payload, bytes32 body, bytes calldata signature)
        internal
        view
        returns (bool valid, bytes32 opHash)
    {
        (uint256 flags, uint256 cursor, uint256 end) = Signature.open(signature);
        if (flags & Signature.FLAG_STATIC != 0) return (true, _validateStatic(payload, body, flags, signature.length));
        uint256 threshold;
        uint256 weight;
        bytes32 imageHash;
        (threshold, weight, imageHash,, opHash) = Signature.recover(payload, body, flags, cursor, end);
        if (weight < threshold) revert InvalidSignatureWeight(threshold, weight);
        valid = _isValidImage(imageHash);
    }

    /// @dev The flag byte alone: static, and whether the approval counts on every chain.
    function _validateStatic(Payload.Decoded memory payload, bytes32 body, uint256 flags, uint256 length)
        private
        view
        returns (bytes32 opHash)
    {
        if (flags & ~(Signature.FLAG_STATIC | Signature.FLAG_NO_CHAIN_ID) != 0) {
            revert Signature.InvalidSignatureFlag(flags);
        }
        if (length != 1) revert InvalidStaticSignatureLength(length);
        payload.noChainId = flags & Signature.FLAG_NO_CHAIN_ID != 0;
        opHash = Payload.hashOf(body, payload.noChainId, address(this));
        _requireStaticSignature(opHash);
    }

    // ─── Entry points ───────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IERC1271
    /// @dev A signature over `Message{message}` is valid for `keccak256(message)`. Bound to this wallet and
    /// chain: a sibling with the same signers refuses it.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view override returns (bytes4) {
        Payload.Decoded memory payload = Payload.fromDigest(hash);
        (bool valid,) = _validate(payload, payload.structHash(), signature);
        return valid ? IERC1271.isValidSignature.selector : bytes4(0);
    }

    /// @inheritdoc ISapient
    /// @dev The asking wallet becomes part of what the signers signed.
    function recoverSapientSignature(Payload.Decoded memory payload, bytes calldata signature)
        external
        view
        override
        returns (bytes32)
    {
        uint256 count = payload.parentWallets.length;
        address[] memory parents = new address[](count + 1);
        for (uint256 i; i < count; ++i) {
            parents[i] = payload.parentWallets[i];
        }
        parents[count] = msg.sender;
        payload.parentWallets = parents;

        (bool valid,) = _validate(payload, payload.structHash(), signature);
        if (!valid) revert InvalidSapientSignature(payload, signature);
        return SAPIENT_ROOT;
    }

    /// @notice Recovers what a signature shows, without judging its weight.
    function recoverPartialSignature(Payload.Decoded memory payload, bytes calldata signature)
        external
        view
        returns (
            uint256 threshold,
            uint256 weight,
            bool isValidImage,
            bytes32 imageHash,
            uint256 checkpoint,
            bytes32 opHash
        )
    {
        (uint256 flags, uint256 cursor, uint256 end) = Signature.open(signature);
        (threshold, weight, imageHash, checkpoint, opHash) =
            Signature.recover(payload, payload.structHash(), flags, cursor, end);
        isValidImage = _isValidImage(imageHash);
    }
}
