// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {IWallet} from "./IWallet.sol";

/// @notice What the Rust library encoded (vectors.json, asserted there too) works on these contracts.
contract VectorsTest is Base {
    string private json;
    IWallet private wallet;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/vectors.json");
        (bool success,) = address(factory).call(hexOf(".deploy"));
        check(success, "deploy");
        wallet = IWallet(vm.parseJsonAddress(json, ".wallet"));
        check(address(wallet).code.length == 33, "the wallet is not where Rust says");
        vm.deal(address(wallet), 100);
    }

    function hexOf(string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, key);
    }

    function send(string memory key) private {
        (bool success,) = address(wallet).call(hexOf(key));
        check(success, key);
    }

    function test_owner_and_guard_execute() external {
        send(".execute");
        same(address(0x7777777777777777777777777777777777777777).balance, 5, "balance");
    }

    function test_an_updated_owner_executes_by_a_chained_signature() external {
        send(".executeChained");
        same(address(0x7777777777777777777777777777777777777777).balance, 6, "balance");
    }

    function test_an_update_is_stored() external {
        send(".updateImageHash");
        same(wallet.imageHash(), vm.parseJsonBytes32(json, ".nextImageHash"), "image hash");
    }

    function test_a_message_is_valid_in_both_encodings() external view {
        bytes32 hash = vm.parseJsonBytes32(json, ".messageHash");
        check(wallet.isValidSignature(hash, hexOf(".messageShortest")) == 0x1626ba7e, "shortest");
        check(wallet.isValidSignature(hash, hexOf(".messageNpm")) == 0x1626ba7e, "npm");
    }

    function test_a_call_without_the_guard_is_refused() external {
        (bool success, bytes memory out) = address(wallet).call(hexOf(".executeWithoutGuard"));
        check(!success, "accepted");
        check(bytes4(out) == IWallet.InvalidSignatureWeight.selector, "another error");
    }
}
