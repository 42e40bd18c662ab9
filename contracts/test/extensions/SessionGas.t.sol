// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Call, Decoded, IWallet} from "../IWallet.sol";
import {TestToken} from "../TestToken.sol";
import {ISessions, Permission, Rule} from "./IExtensions.sol";
import {SessionFormat} from "./SessionFormat.sol";

/// @notice What a call costs by a session key, beside the same call by the owner, of the same wallet.
/// @dev See `Gas.t.sol`. The session may call a token: in any way, or only to transfer (one rule), or only to transfer
/// up to an amount in each call (two rules). Trees and signatures are as the encoders of `crates/wallet` make them.
contract SessionGasTest is Base {
    using Format for Decoded;

    uint256 private constant SESSION = 0x5e55;
    address private constant OLD = 0x7777777777777777777777777777777777777777;

    address private sessions;
    IWallet private wallet;
    uint256 private rules;

    function setUp() public override {
        super.setUp();
        bytes memory code = vm.getCode("artifacts/test/TestToken.json");
        address deployed;
        assembly {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        token = TestToken(deployed);
        (, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), vm.getCode("artifacts/Sessions.json")));
        sessions = address(bytes20(answer));
        token.mint(OLD, 1000);
    }

    /// @dev A wallet that has paid for its nonce, and a token that knows both holders.
    function steady(uint256 count) private {
        rules = count;
        wallet = walletOf(Format.pair(Format.signer(owner, 1), sessionsLeaf()), 1);
        token.mint(address(wallet), 1000);
        wallet.execute(pack(0), byOwner(0));
    }

    function identity() private view returns (bytes memory) {
        return SessionFormat.identity(guard);
    }

    function permissions() private view returns (bytes memory) {
        Permission[] memory list = new Permission[](1);
        list[0].target = address(token);
        list[0].rules = new Rule[](rules);
        if (rules > 0) list[0].rules[0] = Rule(false, 0, bytes32(token.transfer.selector), 0, bytes32(bytes4(0xffffffff)));
        if (rules > 1) list[0].rules[1] = Rule(false, 3, bytes32(uint256(1000)), 36, bytes32(type(uint256).max));
        return SessionFormat.permissions(vm.addr(SESSION), block.chainid, 0, 2_000_000_000, list);
    }

    function denied() private pure returns (bytes32) {
        return keccak256(hex"03");
    }

    function sessionsLeaf() private view returns (bytes32) {
        bytes32 right = Format.pair(keccak256(abi.encodePacked(uint8(4), guard)), keccak256(permissions()));
        return Format.sapient(sessions, 1, Format.pair(denied(), right));
    }

    function payload(uint256 nonce) private view returns (Decoded memory) {
        return Format.calls(list(transfer(OLD, 100)), 0, nonce);
    }

    /// @dev The npm package's form: nonce of one byte, one call, to and data.
    function pack(uint8 nonce) private view returns (bytes memory) {
        Call memory only = payload(nonce).calls[0];
        return abi.encodePacked(hex"13", nonce, hex"44", only.to, uint24(only.data.length), only.data);
    }

    function byOwner(uint256 nonce) private view returns (bytes memory) {
        bytes32 hash = hashOf(payload(nonce), wallet);
        return abi.encodePacked(hex"040001", signed(OWNER, hash), hex"30", sessionsLeaf());
    }

    function bySession(uint256 nonce) private view returns (bytes memory) {
        bytes memory tree = bytes.concat(
            hex"30", SessionFormat.branch(bytes.concat(identity(), permissions()))
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(SESSION, keccak256(abi.encode(hashOf(payload(nonce), wallet), 0)));
        bytes memory inner =
            abi.encodePacked(uint24(tree.length), tree, hex"0000", Format.compact(v, r, s));
        return abi.encodePacked(
            hex"040001", hex"30", Format.signer(owner, 1), hex"99", sessions, uint16(inner.length), inner
        );
    }

    function test_two_rules() external {
        steady(2);
        wallet.execute(pack(1), byOwner(1));
        vm.snapshotGasLastCall("sessions", "erc20 transfer by the owner of a wallet with sessions");
        wallet.execute(pack(2), bySession(2));
        vm.snapshotGasLastCall("sessions", "erc20 transfer by a session of two rules");
    }

    function test_one_rule() external {
        steady(1);
        wallet.execute(pack(1), bySession(1));
        vm.snapshotGasLastCall("sessions", "erc20 transfer by a session of one rule");
    }

    function test_no_rule() external {
        steady(0);
        wallet.execute(pack(1), bySession(1));
        vm.snapshotGasLastCall("sessions", "erc20 transfer by a session without rules");
    }
}
