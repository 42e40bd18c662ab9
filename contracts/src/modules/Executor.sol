// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IDelegatedExtension} from "../interfaces/IDelegatedExtension.sol";
import {Payload} from "../lib/Payload.sol";

/// @title Executor
/// @notice Runs the calls of a payload in order, each with its own behaviour on failure.
///
/// WARNING: who sends the transaction chooses the gas. A call whose failure is ignored, or that aborts,
/// can be made to fail by too little gas unless it has a gas limit of its own: with a limit the batch
/// reverts instead.
abstract contract Executor {
    // ─── Events ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice A call succeeded.
    event CallSucceeded(bytes32 indexed opHash, uint256 index);
    /// @notice A call failed and its failure is ignored.
    event CallFailed(bytes32 indexed opHash, uint256 index, bytes returnData);
    /// @notice A call failed and ended the batch.
    event CallAborted(bytes32 indexed opHash, uint256 index, bytes returnData);
    /// @notice A fallback was not needed.
    event CallSkipped(bytes32 indexed opHash, uint256 index);

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice A call failed and takes the batch with it.
    error Reverted(Payload.Decoded payload, uint256 index, bytes returnData);
    /// @notice Code cannot run as this contract.
    error DelegateCallNotAllowed(uint256 index);
    /// @notice Too little gas is left to give a call its limit.
    error NotEnoughGas(Payload.Decoded payload, uint256 index, uint256 gasLeft);

    // ─── Constants ──────────────────────────────────────────────────────────────────────────────────

    /// @dev At least what a call itself costs: two cold accounts (the second where the first delegates to
    /// it), and a little for the instructions around it.
    uint256 private constant CALL_COST = 6_000;
    /// @dev The same with coin sent to an account that does not exist yet.
    uint256 private constant CALL_COST_WITH_VALUE = 40_000;

    // ─── Running ────────────────────────────────────────────────────────────────────────────────────

    function _run(Payload.Decoded memory payload, bytes32 opHash) internal {
        uint256 startingGas = gasleft();
        Payload.Call[] memory calls = payload.calls;
        uint256 count = calls.length;
        bytes32 succeeded = CallSucceeded.selector;
        bool previousFailed;
        for (uint256 i; i < count;) {
            // A call without a limit that is no delegate call and no fallback. Plain equivalent: nothing; what
            // follows makes such a call too, for more gas.
            bool plain;
            bool success;
            assembly ("memory-safe") {
                let item := mload(add(add(calls, 0x20), shl(5, i)))
                plain := iszero(or(mload(add(item, 0x60)), or(mload(add(item, 0x80)), mload(add(item, 0xa0)))))
                if plain {
                    let data := mload(add(item, 0x40))
                    success := call(gas(), mload(item), mload(add(item, 0x20)), add(data, 0x20), mload(data), 0, 0)
                }
            }
            if (!plain) {
                if (calls[i].onlyFallback && !previousFailed) {
                    if (_reportsSuccess()) emit CallSkipped(opHash, i);
                    unchecked {
                        ++i;
                    }
                    continue;
                }
                success = _perform(payload, calls[i], opHash, startingGas, i);
            }
            if (success) {
                if (_reportsSuccess()) {
                    // Plain equivalent: emit CallSucceeded(opHash, i);
                    assembly ("memory-safe") {
                        mstore(0x00, i)
                        log2(0x00, 0x20, succeeded, opHash)
                    }
                }
            } else {
                uint256 behavior = calls[i].behaviorOnError;
                if (behavior == Payload.BEHAVIOR_ABORT) {
                    emit CallAborted(opHash, i, _returnData());
                    return;
                }
                if (behavior != Payload.BEHAVIOR_IGNORE) revert Reverted(payload, i, _returnData());
                emit CallFailed(opHash, i, _returnData());
            }
            previousFailed = !success;
            unchecked {
                ++i;
            }
        }
    }

    function _perform(
        Payload.Decoded memory payload,
        Payload.Call memory call,
        bytes32 opHash,
        uint256 startingGas,
        uint256 index
    ) private returns (bool) {
        bytes memory data = call.data;
        if (call.delegateCall) {
            if (!_allowsDelegateCalls()) revert DelegateCallNotAllowed(index);
            data = abi.encodeCall(
                IDelegatedExtension.handleSequenceDelegateCall,
                (opHash, startingGas, index, payload.calls.length, payload.space, data)
            );
        }
        uint256 gasLimit = call.gasLimit;
        if (gasLimit == 0) gasLimit = gasleft();
        else _requireGas(payload, gasLimit, call.value, index);
        return call.delegateCall ? _delegate(call.to, gasLimit, data) : _call(call.to, call.value, gasLimit, data);
    }

    /// @dev Whether an event says that a call succeeded, or was not needed.
    function _reportsSuccess() internal pure virtual returns (bool) {
        return true;
    }

    /// @dev Whether code may run as the contract itself.
    function _allowsDelegateCalls() internal pure virtual returns (bool) {
        return true;
    }

    /// @dev A call gets at most 63/64 of what is left after its own cost: a limit above that would be cut
    /// silently, and who sends the transaction could make the call fail.
    function _requireGas(Payload.Decoded memory payload, uint256 gasLimit, uint256 value, uint256 index)
        private
        view
    {
        uint256 left = gasleft();
        uint256 cost = value == 0 ? CALL_COST : CALL_COST_WITH_VALUE;
        uint256 usable = left < cost ? 0 : left - cost;
        if (usable - usable / 64 < gasLimit) revert NotEnoughGas(payload, index, left);
    }

    /// @dev Plain equivalent: `(success,) = to.call{value: value, gas: gasLimit}(data)`, but without copying
    /// what the callee returns: it would pay for memory of the callee's choice.
    function _call(address to, uint256 value, uint256 gasLimit, bytes memory data) private returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasLimit, to, value, add(data, 0x20), mload(data), 0, 0)
        }
    }

    /// @dev Plain equivalent: `(success,) = to.delegatecall{gas: gasLimit}(data)`, as above.
    function _delegate(address to, uint256 gasLimit, bytes memory data) private returns (bool success) {
        assembly ("memory-safe") {
            success := delegatecall(gasLimit, to, add(data, 0x20), mload(data), 0, 0)
        }
    }

    /// @dev What the last call returned. Only failures read it.
    function _returnData() private pure returns (bytes memory data) {
        assembly ("memory-safe") {
            data := mload(0x40)
            mstore(0x40, and(add(add(data, returndatasize()), 0x3f), not(0x1f)))
            mstore(data, returndatasize())
            returndatacopy(add(data, 0x20), 0, returndatasize())
        }
    }
}
