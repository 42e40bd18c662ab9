// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title RecoveryMembership
/// @notice How a recovery signer shows that a wallet's configuration has it, before any delay is over.
/// @dev The recovery contract lets one digest pass for every leaf that is shown: this one. It means nothing
/// else, so it may pass without a signature; whoever acts upon it asks the signer for one.
library RecoveryMembership {
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("Keyfold Recovery");
    bytes32 private constant VERSION = keccak256("1");
    bytes32 private constant MEMBERSHIP_TYPE = keccak256("RecoverySigner(address wallet,address signer)");

    /// @notice The digest that a wallet approves if its recovery tree at `recovery` has `signer`.
    function digest(address recovery, address wallet, address signer) internal view returns (bytes32) {
        return typed(recovery, keccak256(abi.encode(MEMBERSHIP_TYPE, wallet, signer)));
    }

    /// @notice The EIP-712 hash in the domain of the recovery contract.
    function typed(address recovery, bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, NAME, VERSION, block.chainid, recovery));
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
