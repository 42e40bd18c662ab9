// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "./lib/Payload.sol";
import {Wallet} from "./Wallet.sol";

/// @title Estimator
/// @notice Measures what a batch costs: put in a wallet's place by the state override of an `eth_call`.
/// @dev Any configuration is the wallet's and any nonce the next. Signatures of keys must still be well
/// formed: any key may make them.
///
/// WARNING: never the implementation of a wallet. It accepts everybody's signature.
contract Estimator is Wallet(address(0), address(0)) {
    /// @notice Runs packed calls, with the nonce that is next, and reports the gas they took.
    /// @return gasUsed Gas for decoding, validation and the calls, without the transaction's own cost.
    function estimate(bytes calldata packed, bytes calldata signature) external payable locked returns (uint256 gasUsed) {
        uint256 startingGas = gasleft();
        (Payload.Decoded memory payload, bytes32 body) = Payload.fromPackedCalls(packed);
        _consumeNonce(payload.space, readNonce(payload.space));
        (bool valid, bytes32 opHash) = _validate(payload, body, signature);
        if (!valid) revert InvalidSignature(payload, signature);
        _run(payload, opHash);
        return startingGas - gasleft();
    }

    function _isValidImage(bytes32) internal pure override returns (bool) {
        return true;
    }
}
