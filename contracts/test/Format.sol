// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Call, Decoded} from "./IWallet.sol";

/// @notice A second, slow reading of the format's description: hashes and encodings that the tests make
/// and the contracts have to agree with.
library Format {
    // ─── Trees ──────────────────────────────────────────────────────────────────────────────────────

    function signer(address account, uint256 weight) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence signer:\n", account, weight));
    }

    function sapient(address account, uint256 weight, bytes32 root) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence sapient config:\n", account, weight, root));
    }

    function subdigest(bytes32 value) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence static digest:\n", value));
    }

    function anyAddress(bytes32 value) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence any address subdigest:\n", value));
    }

    function nested(bytes32 root, uint256 threshold, uint256 weight) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence nested config:\n", root, threshold, weight));
    }

    function pair(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(abi.encode(left, right));
    }

    function image(bytes32 root, uint256 threshold, uint256 checkpoint, address checkpointer)
        internal
        pure
        returns (bytes32)
    {
        bytes32 numbers = pair(pair(root, bytes32(threshold)), bytes32(checkpoint));
        return pair(numbers, bytes32(uint256(uint160(checkpointer))));
    }

    // ─── Payloads ───────────────────────────────────────────────────────────────────────────────────

    function hash(Decoded memory payload, address wallet, uint256 chainId) internal pure returns (bytes32) {
        string memory callType =
            "Call(address to,uint256 value,bytes data,uint256 gasLimit,bool delegateCall,bool onlyFallback,uint256 behaviorOnError)";
        bytes32 wallets = keccak256(abi.encodePacked(payload.parentWallets));
        bytes32 body;
        if (payload.kind == 0) {
            bytes memory hashes;
            for (uint256 i; i < payload.calls.length; ++i) {
                Call memory call = payload.calls[i];
                bytes memory front = abi.encode(keccak256(bytes(callType)), call.to, call.value, keccak256(call.data));
                bytes memory tail =
                    abi.encode(call.gasLimit, call.delegateCall, call.onlyFallback, call.behaviorOnError);
                hashes = bytes.concat(hashes, keccak256(bytes.concat(front, tail)));
            }
            string memory callsType = "Calls(Call[] calls,uint256 space,uint256 nonce,address[] wallets)";
            bytes32 typeHash = keccak256(bytes(string.concat(callsType, callType)));
            body = keccak256(abi.encode(typeHash, keccak256(hashes), payload.space, payload.nonce, wallets));
        } else if (payload.kind == 2) {
            bytes32 typeHash = keccak256("ConfigUpdate(bytes32 imageHash,address[] wallets)");
            body = keccak256(abi.encode(typeHash, payload.imageHash, wallets));
        } else {
            bytes32 typeHash = keccak256("Message(bytes message,address[] wallets)");
            bytes32 content = payload.kind == 1 ? keccak256(payload.message) : payload.digest;
            body = keccak256(abi.encode(typeHash, content, wallets));
        }
        bytes32 domainType =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain =
            keccak256(abi.encode(domainType, keccak256("Sequence Wallet"), keccak256("3"), chainId, wallet));
        return keccak256(abi.encodePacked(hex"1901", domain, body));
    }

    function calls(Call[] memory list, uint256 space, uint256 nonce) internal pure returns (Decoded memory payload) {
        payload.calls = list;
        payload.space = space;
        payload.nonce = nonce;
    }

    function digest(bytes32 value) internal pure returns (Decoded memory payload) {
        payload.kind = 3;
        payload.digest = value;
    }

    function update(bytes32 imageHash) internal pure returns (Decoded memory payload) {
        payload.kind = 2;
        payload.imageHash = imageHash;
    }

    // ─── Packing ────────────────────────────────────────────────────────────────────────────────────

    /// @notice The wide form: 20 bytes of space, 7 of nonce, one of count, every field of every call.
    function pack(Decoded memory payload) internal pure returns (bytes memory out) {
        require(payload.calls.length < 256, "too many calls");
        out = abi.encodePacked(
            hex"0e", uint160(payload.space), uint56(payload.nonce), uint8(payload.calls.length)
        );
        for (uint256 i; i < payload.calls.length; ++i) {
            out = bytes.concat(out, packCall(payload.calls[i]));
        }
    }

    function packCall(Call memory call) internal pure returns (bytes memory) {
        uint8 flags = 0x0e | uint8(call.behaviorOnError << 6);
        if (call.delegateCall) flags |= 0x10;
        if (call.onlyFallback) flags |= 0x20;
        return abi.encodePacked(
            flags, call.to, call.value, uint24(call.data.length), call.data, call.gasLimit
        );
    }

    // ─── Signatures ─────────────────────────────────────────────────────────────────────────────────

    /// @notice The head of a signature without checkpoint and checkpointer.
    function head(uint8 threshold) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(0), threshold);
    }

    function compact(uint8 v, bytes32 r, bytes32 s) internal pure returns (bytes memory) {
        return abi.encodePacked(r, uint256(s) | (uint256(v - 27) << 255));
    }

    function nestedItem(uint8 threshold, uint8 weight, bytes memory inner) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(0x60), weight, uint16(threshold), uint24(inner.length), inner);
    }

    function link(bytes memory signature) internal pure returns (bytes memory) {
        return abi.encodePacked(uint24(signature.length), signature);
    }
}
