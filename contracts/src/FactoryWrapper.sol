// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Factory} from "./Factory.sol";
import {WalletProxy} from "./WalletProxy.sol";

/// @title FactoryWrapper
/// @notice The factory as bundlers want it: called by the entry point's sender creator only, and content when
/// the wallet exists already.
///
/// WARNING: wallets made through it are wallets of the factory behind it, at the same addresses.
contract FactoryWrapper {
    /// @notice Somebody else than the sender creator called.
    error NotSenderCreator(address sender);

    /// @notice The factory that deploys wallets.
    Factory public immutable FACTORY;
    /// @notice The contract that an entry point makes accounts with.
    address public immutable SENDER_CREATOR;

    constructor(Factory factory, address senderCreator) {
        FACTORY = factory;
        SENDER_CREATOR = senderCreator;
    }

    /// @notice Deploys a wallet unless it exists; the coin sent along goes to a new wallet only.
    /// @param mainModule The implementation it begins with.
    /// @param salt Image hash of its first configuration.
    function deploy(address mainModule, bytes32 salt) external payable returns (address wallet) {
        if (msg.sender != SENDER_CREATOR) revert NotSenderCreator(msg.sender);
        wallet = WalletProxy.walletAddress(address(FACTORY), salt, WalletProxy.initCodeHash(mainModule));
        if (wallet.code.length == 0) FACTORY.deploy{value: msg.value}(mainModule, salt);
    }
}
