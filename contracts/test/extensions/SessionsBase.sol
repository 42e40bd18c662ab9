// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Call, Decoded, IWallet} from "../IWallet.sol";
import {
    Attestation,
    AuthData,
    Clock,
    ISessions,
    Permission,
    Rule,
    UsageLimit
} from "./IExtensions.sol";
import {SessionFormat} from "./SessionFormat.sol";

/// @notice Welcomes the sessions of one app.
contract Welcoming {
    uint256 public calls;
    bool public lies;

    function lie() external {
        lies = true;
    }

    function acceptImplicitRequest(address wallet, Attestation calldata a, Call calldata)
        external
        view
        returns (bytes32)
    {
        if (lies) return keccak256("yes");
        return keccak256(abi.encodePacked(keccak256("acceptImplicitRequest"), wallet, a.audienceHash, a.issuerHash));
    }

    function work() external payable {
        calls++;
    }
}

/// @notice A wallet with a session tree, and what signs for its sessions.
abstract contract SessionsBase is Base {
    using Format for Decoded;

    Clock internal constant clock = Clock(address(vm));
    uint256 internal constant IDENTITY = 0x1d;
    uint256 internal constant SESSION = 0x5e55;
    uint256 internal constant IMPLICIT = 0x1397;
    uint64 internal constant DEADLINE = 2_000_000_000;
    uint256 internal constant NOW = 1_800_000_000;
    bytes32 internal constant ALL = bytes32(type(uint256).max);

    ISessions internal sessions;
    Welcoming internal app;
    IWallet internal wallet;
    address internal identitySigner;
    address internal session;
    address internal implicitKey;
    address[] internal denied;

    /// @dev At most 100 tokens together, to anybody; at most 1 ether together, to `app.work()`.
    function setUp() public override {
        super.setUp();
        clock.warp(NOW);
        bytes memory code = vm.getCode("artifacts/Sessions.json");
        (, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code));
        sessions = ISessions(address(bytes20(answer)));
        app = new Welcoming();
        identitySigner = vm.addr(IDENTITY);
        session = vm.addr(SESSION);
        implicitKey = vm.addr(IMPLICIT);
        wallet = walletOf(Format.sapient(address(sessions), 1, root()), 1);
        token.mint(address(wallet), 1000);
        vm.deal(address(wallet), 10 ether);
    }

    // ─── What the tests make ────────────────────────────────────────────────────────────────────────

    function rule(bool cumulative, uint8 operation, uint256 value, uint256 offset) internal pure returns (Rule memory) {
        return Rule(cumulative, operation, bytes32(value), offset, ALL);
    }

    function tokenPermission() internal view returns (Permission memory permission) {
        permission.target = address(token);
        permission.rules = new Rule[](2);
        // transfer(address,uint256), and the amounts of all calls together.
        permission.rules[0] =
            Rule(false, 0, bytes32(token.transfer.selector), 0, bytes32(bytes4(0xffffffff)));
        permission.rules[1] = rule(true, 3, 100, 36);
    }

    function appPermission() internal view returns (Permission memory permission) {
        permission.target = address(app);
    }

    function leaf() internal view returns (bytes memory) {
        Permission[] memory list = new Permission[](2);
        (list[0], list[1]) = (tokenPermission(), appPermission());
        return SessionFormat.permissions(session, block.chainid, 1 ether, DEADLINE, list);
    }

    function tree() internal view returns (bytes memory) {
        return bytes.concat(
            SessionFormat.blacklist(denied), SessionFormat.branch(bytes.concat(SessionFormat.identity(identitySigner), leaf()))
        );
    }

    /// @dev Folds one level of `tree()`, as the format says.
    function root() internal view returns (bytes32) {
        bytes memory list;
        for (uint256 i; i < denied.length; ++i) {
            list = abi.encodePacked(list, denied[i]);
        }
        bytes32 right =
            Format.pair(keccak256(abi.encodePacked(uint8(4), identitySigner)), keccak256(leaf()));
        return Format.pair(keccak256(bytes.concat(hex"03", list)), right);
    }

    function attestation() internal view returns (Attestation memory) {
        return Attestation(
            implicitKey,
            0x00000002,
            keccak256("issuer"),
            keccak256("audience"),
            "data",
            AuthData("https://app.example/callback", uint64(NOW - 60))
        );
    }

    function sign64(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Format.compact(v, r, s);
    }

    function sized(bytes memory bytes_) internal pure returns (bytes memory) {
        return abi.encodePacked(uint24(bytes_.length), bytes_);
    }

    /// @dev Signs each call with the key, under the permission or attestation, that stands in the same place.
    function sessionSignature(Decoded memory payload, uint8[] memory flags, bytes memory attestations, uint256 key)
        internal
        view
        returns (bytes memory out)
    {
        out = bytes.concat(sized(tree()), attestations);
        bytes32 hash = hashOf(payload, wallet);
        for (uint256 i; i < payload.calls.length; ++i) {
            out = abi.encodePacked(out, flags[i], sign64(key, keccak256(abi.encode(hash, i))));
        }
    }

    function explicitSignature(Decoded memory payload, uint8[] memory flags) internal view returns (bytes memory) {
        return sessionSignature(payload, flags, hex"00", SESSION);
    }

    function attested(uint256 key) internal view returns (bytes memory) {
        bytes memory packed = SessionFormat.attestation(attestation());
        return bytes.concat(hex"01", packed, sign64(key, keccak256(packed)));
    }

    function execute(Decoded memory payload, bytes memory signature) internal {
        bytes memory whole =
            abi.encodePacked(Format.head(1), hex"99", address(sessions), uint16(signature.length), signature);
        wallet.execute(payload.pack(), whole);
    }

    function refuses(Decoded memory payload, bytes memory signature, bytes4 selector) internal {
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) {
            check(false, "accepted");
        } catch (bytes memory error_) {
            check(bytes4(error_) == selector, "another reason");
        }
        bytes memory whole =
            abi.encodePacked(Format.head(1), hex"99", address(sessions), uint16(signature.length), signature);
        vm.expectRevert();
        wallet.execute(payload.pack(), whole);
    }

    function flag(uint8 value) internal pure returns (uint8[] memory list) {
        list = new uint8[](1);
        list[0] = value;
    }

    function flags2(uint8 one, uint8 two) internal pure returns (uint8[] memory list) {
        list = new uint8[](2);
        (list[0], list[1]) = (one, two);
    }

    function payloadOf(Call memory one) internal view returns (Decoded memory) {
        return Format.calls(list(one), 0, wallet.readNonce(0));
    }

    function payloadOf(Call memory one, Call memory two) internal view returns (Decoded memory) {
        Call[] memory calls = new Call[](2);
        (calls[0], calls[1]) = (one, two);
        return Format.calls(calls, 0, wallet.readNonce(0));
    }

    function increment(UsageLimit[] memory limits) internal view returns (Call memory) {
        return call(address(sessions), abi.encodeCall(sessions.incrementUsageLimit, (limits)));
    }

    function limit(bytes32 usageHash, uint256 amount) internal pure returns (UsageLimit[] memory limits) {
        limits = new UsageLimit[](1);
        limits[0] = UsageLimit(usageHash, amount);
    }

    function tokenUsage() internal view returns (bytes32) {
        return SessionFormat.ruleUsage(session, tokenPermission(), 1);
    }

    function spend(uint256 amount, uint256 total) internal view returns (Decoded memory) {
        return payloadOf(increment(limit(tokenUsage(), total)), transfer(address(0x77), amount));
    }

    function work(uint256 value) internal view returns (Call memory c) {
        c = call(address(app), abi.encodeCall(app.work, ()));
        c.value = value;
    }

    function same(bool actual, bool expected, string memory what) internal pure {
        check(actual == expected, what);
    }

    /// @dev A session for every chain that may call `app`, and its signature over `hash`.
    function everywhere(bytes32 hash) internal view returns (bytes memory) {
        Permission[] memory one = new Permission[](1);
        one[0] = appPermission();
        bytes memory wire = bytes.concat(
            SessionFormat.identity(identitySigner), SessionFormat.permissions(session, 0, 0, 0, one)
        );
        return abi.encodePacked(sized(wire), hex"0000", sign64(SESSION, keccak256(abi.encode(hash, 0))));
    }
}
