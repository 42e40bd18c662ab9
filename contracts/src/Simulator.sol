// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IDelegatedExtension} from "./interfaces/IDelegatedExtension.sol";
import {Payload} from "./lib/Payload.sol";
import {Storage} from "./lib/Storage.sol";

/// @title Simulator
/// @notice Tells how each call of a batch would end: put in a wallet's place by the state override of an
/// `eth_call`. For everything else it remains the wallet: it delegates to the implementation in storage.
///
/// WARNING: never deployed as a wallet. It runs anybody's calls.
contract Simulator {
    /// @notice How a call ended.
    enum Status {
        Skipped,
        Succeeded,
        Failed,
        Aborted,
        Reverted,
        NotEnoughGas
    }

    /// @notice What became of a call.
    struct Result {
        Status status;
        bytes result;
        uint256 gasUsed;
    }

    /// @notice Makes the calls in order, each with its own behaviour on failure. Calls after one that ended
    /// the batch are skipped.
    function simulate(Payload.Call[] calldata calls) external payable returns (Result[] memory results) {
        uint256 startingGas = gasleft();
        results = new Result[](calls.length);
        bool previousFailed;
        for (uint256 i; i < calls.length; ++i) {
            Payload.Call calldata call = calls[i];
            if (call.onlyFallback && !previousFailed) continue;
            previousFailed = false;
            Result memory result = results[i];
            if (call.gasLimit != 0 && gasleft() < call.gasLimit) {
                result.status = Status.NotEnoughGas;
                result.result = abi.encode(gasleft());
                break;
            }
            bool success;
            (success, result.result, result.gasUsed) = _perform(call, startingGas, i, calls.length);
            if (success) {
                result.status = Status.Succeeded;
            } else if (call.behaviorOnError == Payload.BEHAVIOR_IGNORE) {
                result.status = Status.Failed;
                previousFailed = true;
            } else {
                result.status =
                    call.behaviorOnError == Payload.BEHAVIOR_ABORT ? Status.Aborted : Status.Reverted;
                break;
            }
        }
    }

    function _perform(Payload.Call calldata call, uint256 startingGas, uint256 index, uint256 count)
        private
        returns (bool success, bytes memory result, uint256 gasUsed)
    {
        uint256 gasLimit = call.gasLimit == 0 ? gasleft() : call.gasLimit;
        bytes memory data = call.data;
        if (call.delegateCall) {
            // The hash and the space of a payload that is not yet made are not known.
            data = abi.encodeCall(
                IDelegatedExtension.handleSequenceDelegateCall, (bytes32(0), startingGas, index, count, 0, data)
            );
        }
        uint256 left = gasleft();
        if (call.delegateCall) (success, result) = call.to.delegatecall{gas: gasLimit}(data);
        else (success, result) = call.to.call{value: call.value, gas: gasLimit}(data);
        gasUsed = left - gasleft();
    }

    /// @notice Accepts coin, as the wallet does.
    receive() external payable {}

    /// @notice Answers as the wallet would.
    fallback() external payable {
        address implementation = address(uint160(uint256(Storage.read(bytes32(uint256(uint160(address(this))))))));
        // Plain equivalent: `implementation.delegatecall(msg.data)`, returning or reverting with what it
        // returned, which Solidity cannot express from a function without declared results.
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let success := delegatecall(gas(), implementation, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(success) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }
}
