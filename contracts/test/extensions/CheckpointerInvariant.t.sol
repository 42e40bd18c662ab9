// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Format} from "../Format.sol";
import {Decoded} from "../IWallet.sol";
import {CheckpointerBase} from "./CheckpointerBase.sol";

/// @notice The wallet, its signers, strangers, the key machine and the time, in any order; and a second opinion on
/// when the key machine has a say.
contract Distruster is CheckpointerBase {
    using Format for Decoded;

    bytes32 private constant TEXT = keccak256("text");

    uint256 private time = NOW;
    /// @dev Zero while the key machine is trusted.
    uint256 private distrustedAt;
    bytes private lastDistrust;

    uint256 public accepted;
    uint256 public silent;
    /// @dev What came out otherwise than it should.
    string public wrong;

    // ─── What happens ───────────────────────────────────────────────────────────────────────────────

    /// @dev Up to two days, a second, or up to just before the key machine has no say any more.
    function pass(uint256 howLong) external {
        uint256 edge = distrustedAt + checkpointer.DISTRUST_DELAY();
        if (howLong % 3 == 0) time += howLong / 3 % 2 days;
        if (howLong % 3 == 1) ++time;
        if (howLong % 3 == 2 && distrustedAt != 0 && time < edge - 1) time = edge - 1;
    }

    /// @dev By the owner, by a stranger, or what the owner signed the last time.
    function distrust(uint256 who) external {
        clock.warp(time);
        bytes memory signature = lastDistrust;
        if (who % 3 != 0) signature = distrustSignature(who % 3 == 1 ? OWNER : STRANGER);
        try checkpointer.distrust(address(wallet), signature) {
            if (who % 3 != 1) wrong = "distrusted";
            if (distrustedAt == 0) distrustedAt = time;
            lastDistrust = signature;
        } catch {
            if (who % 3 == 1) wrong = "not distrusted";
        }
    }

    function trust(bool byWallet) external {
        clock.warp(time);
        if (byWallet) {
            vm.prank(address(wallet));
            distrustedAt = 0;
        }
        checkpointer.trust();
    }

    /// @dev A signature of the first configuration, with no word, a good one, one about another configuration, and
    /// one by a stranger.
    function sign(uint256 word) external {
        clock.warp(time);
        bytes memory data;
        if (word % 4 == 1) data = proof(1);
        if (word % 4 == 2) data = proof(2);
        if (word % 4 == 3) data = proofAt(STRANGER, image(1), 1, time, time + 1);
        bool isSilent = distrustedAt != 0 && time >= distrustedAt + checkpointer.DISTRUST_DELAY();
        bytes memory signature = first(hashOf(Format.digest(TEXT), wallet), data);
        try wallet.isValidSignature(TEXT, signature) returns (bytes4 answer) {
            if (answer != 0x1626ba7e) wrong = "not valid";
            if (!isSilent && word % 4 != 1) wrong = "accepted";
            ++accepted;
            if (isSilent) ++silent;
        } catch {
            if (isSilent || word % 4 == 1) wrong = "refused";
        }
    }
}

/// @notice The key machine has a say until three days after the first distrust since the wallet trusted it, and
/// then none.
contract CheckpointerInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Distruster private distruster;

    function setUp() public {
        distruster = new Distruster();
        distruster.setUp();
    }

    /// @dev Read by forge: what a random sequence consists of.
    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(distruster);
        list[0].selectors = new bytes4[](4);
        list[0].selectors[0] = distruster.pass.selector;
        list[0].selectors[1] = distruster.distrust.selector;
        list[0].selectors[2] = distruster.trust.selector;
        list[0].selectors[3] = distruster.sign.selector;
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(distruster);
    }

    /// forge-config: default.invariant.runs = 24
    /// forge-config: default.invariant.depth = 50
    function invariant_the_key_machine_has_its_say_and_no_more() external view {
        require(bytes(distruster.wrong()).length == 0, distruster.wrong());
    }

    /// @dev The invariant would also hold if nothing were ever accepted.
    function test_the_distruster_silences_the_key_machine() external {
        distruster.sign(1);
        distruster.sign(2);
        distruster.distrust(1);
        distruster.distrust(0);
        distruster.pass(2);
        distruster.sign(0);
        require(distruster.accepted() == 1, "accepted");
        distruster.pass(1);
        distruster.sign(0);
        distruster.sign(2);
        require(distruster.silent() == 2, "not silent");
        distruster.trust(false);
        distruster.sign(0);
        distruster.trust(true);
        distruster.sign(0);
        require(distruster.silent() == 3, "silent");
        require(bytes(distruster.wrong()).length == 0, distruster.wrong());
    }
}
