// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Decoded, IDelegatedExtension, ISapientCompact, IWallet, ICheckpointer, Snapshot} from "./IWallet.sol";

/// @notice Answers ERC-1271 with whatever it is told to.
contract ContractSigner {
    bytes4 private immutable answer;

    constructor(bytes4 value) {
        answer = value;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        return answer;
    }
}

/// @notice Answers with the hash of what it was asked, so that a test can see the question.
contract SapientSigner is ISapientCompact {
    function recoverSapientSignature(Decoded calldata payload, bytes calldata signature)
        external
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(payload.kind, payload.noChainId, payload.digest, signature));
    }

    function recoverSapientSignatureCompact(bytes32 digest, bytes calldata signature) external pure returns (bytes32) {
        return keccak256(abi.encode(digest, signature));
    }
}

contract Checkpointer is ICheckpointer {
    function snapshotFor(address, bytes calldata proof) external pure returns (Snapshot memory) {
        return abi.decode(proof, (Snapshot));
    }
}

/// @notice Reports that it was called, fails, burns gas, or calls back.
contract Target {
    uint256 public calls;
    bytes public lastError;

    error Refused(uint256 code);

    function work() external payable {
        calls++;
    }

    function fail() external pure {
        revert Refused(42);
    }

    function burn(uint256 amount) external {
        uint256 until = gasleft() - amount;
        while (gasleft() > until) calls++;
    }

    function reenter(IWallet wallet, bytes calldata packed, bytes calldata signature) external {
        try wallet.execute(packed, signature) {
            calls++;
        } catch (bytes memory error_) {
            lastError = error_;
        }
    }
}

/// @notice Code that a wallet runs as its own.
contract Extension is IDelegatedExtension {
    event Ran(address self, bytes32 opHash, uint256 index, uint256 numCalls, uint256 space, bytes data);

    function handleSequenceDelegateCall(
        bytes32 opHash,
        uint256,
        uint256 index,
        uint256 numCalls,
        uint256 space,
        bytes calldata data
    ) external {
        if (data.length == 0) revert("no data");
        emit Ran(address(this), opHash, index, numCalls, space, data);
    }
}

/// @notice A hook: answers a function for a wallet.
contract Hook {
    function whoAmI() external view returns (address) {
        return address(this);
    }

    function refuse() external pure {
        revert("hook refuses");
    }
}
