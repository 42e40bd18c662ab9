// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Call, Decoded} from "../IWallet.sol";
import {ISessions, Permission, Rule} from "./IExtensions.sol";
import {SessionFormat} from "./SessionFormat.sol";
import {SessionsBase} from "./SessionsBase.sol";

/// @notice Rules and the data that they look at.
contract SessionRulesTest is SessionsBase {
    function test_a_rule_beyond_the_data_is_not_kept() external {
        // The amount is missing; what follows it in calldata is nobody's word.
        Call memory short = call(address(token), abi.encodePacked(token.transfer.selector, uint256(0x77)));
        Decoded memory payload = payloadOf(short);
        refuses(payload, explicitSignature(payload, flag(0)), ISessions.InvalidPermission.selector);
    }

    function test_a_selector_alone_can_be_asked_for() external {
        Permission memory permission = appPermission();
        permission.rules = new Rule[](1);
        permission.rules[0] = Rule(false, 0, bytes32(app.work.selector), 0, bytes32(bytes4(0xffffffff)));
        same(shownWith(permission, work(0)), true, "work()");
        same(shownWith(permission, call(address(app), abi.encodeCall(app.lie, ()))), false, "lie()");
        // Three bytes are not the selector, whatever stands behind them.
        same(shownWith(permission, call(address(app), abi.encodePacked(bytes3(app.work.selector)))), false, "short");
        // Nor may a mask look past the end.
        permission.rules[0].mask = bytes32(bytes5(0xffffffffff));
        same(shownWith(permission, work(0)), false, "fifth byte");
        permission.rules[0].mask = 0;
        same(shownWith(permission, work(0)), false, "looks at nothing");
        permission.rules[0] = rule(false, 0, 0, type(uint256).max);
        same(shownWith(permission, work(0)), false, "far away");
    }

    /// @dev Whether a session with this permission alone may make the call.
    function shownWith(Permission memory permission, Call memory what) internal returns (bool) {
        Permission[] memory one = new Permission[](1);
        one[0] = permission;
        bytes memory wire = bytes.concat(
            SessionFormat.identity(identitySigner), SessionFormat.permissions(session, 0, 0, 0, one)
        );
        Decoded memory payload = payloadOf(what);
        bytes memory signature = abi.encodePacked(
            sized(wire), hex"0000", sign64(SESSION, keccak256(abi.encode(hashOf(payload, wallet), 0)))
        );
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) {
            return true;
        } catch {
            return false;
        }
    }

    function test_an_unknown_comparison_is_refused() external {
        bytes memory wire = tree();
        // The flags of the first rule of the first permission.
        uint256 place = wire.length - 21 - 97;
        check(wire[place] == 0x07, "not where it was thought to be");
        wire[place] = 0x08;
        Decoded memory payload = payloadOf(transfer(address(0x77), 1));
        bytes memory signature = abi.encodePacked(
            sized(wire), hex"0000", sign64(SESSION, keccak256(abi.encode(hashOf(payload, wallet), 0)))
        );
        vm.prank(address(wallet));
        vm.expectPartialRevert(ISessions.InvalidParameterOperation.selector);
        sessions.recoverSapientSignature(payload, signature);
    }
}
