// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Format} from "./Format.sol";
import {Call, Decoded, IFactory, IWallet} from "./IWallet.sol";
import {TestToken} from "./TestToken.sol";
import {Vm} from "./Vm.sol";

/// @notice Deploys the committed artifacts through the deterministic deployer and gives each test two
/// wallets: one with a single key, one with the default tree of owner and guard.
abstract contract Base {
    using Format for Decoded;

    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    address internal constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    bytes private constant DEPLOYER_CODE =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

    uint256 internal constant OWNER = 0xa11ce;
    uint256 internal constant GUARD = 0x9aa4d;
    uint256 internal constant STRANGER = 0xbad;

    IFactory internal factory;
    address internal stage1;
    address internal stage2;
    address internal guest;

    address internal owner;
    address internal guard;
    TestToken internal token;

    /// @dev Threshold 1, the owner's key with weight 1.
    IWallet internal single;
    /// @dev Threshold 2: nested(owner) with weight 1, guard with weight 1.
    IWallet internal guarded;

    function setUp() public virtual {
        if (DEPLOYER.code.length == 0) vm.etch(DEPLOYER, DEPLOYER_CODE);
        string memory deployments = vm.readFile("deployments.json");
        factory = IFactory(deploy(deployments, 0, "Factory"));
        stage2 = deploy(deployments, 1, "Stage2");
        stage1 = deploy(deployments, 2, "Stage1");
        guest = deploy(deployments, 3, "Guest");
        owner = vm.addr(OWNER);
        guard = vm.addr(GUARD);
        token = new TestToken();
        single = IWallet(factory.deploy(stage1, singleImage(owner)));
        guarded = IWallet(factory.deploy(stage1, guardedImage(owner, guard)));
        token.mint(address(single), 1000);
        token.mint(address(guarded), 1000);
        vm.deal(address(single), 10 ether);
        vm.deal(address(guarded), 10 ether);
    }

    /// @dev Deploys one of `deployments.json`, by its position.
    function deploy(string memory deployments, uint256 index, string memory artifact) internal returns (address) {
        string memory key = string.concat(".contracts[", string(abi.encodePacked(bytes1(uint8(48 + index)))), "]");
        bytes memory arguments = vm.parseJsonBytes(deployments, string.concat(key, ".constructorArguments"));
        address expected = vm.parseJsonAddress(deployments, string.concat(key, ".address"));
        bytes memory code = vm.getCode(string.concat("artifacts/", artifact, ".json"));
        (bool deployed,) = DEPLOYER.call(bytes.concat(bytes32(0), code, arguments));
        check(deployed && expected.code.length > 0, string.concat(artifact, " is not where it should be"));
        return expected;
    }

    // ─── Configurations ─────────────────────────────────────────────────────────────────────────────

    function singleImage(address account) internal pure returns (bytes32) {
        return Format.image(Format.signer(account, 1), 1, 0, address(0));
    }

    function guardedImage(address account, address guardian) internal pure returns (bytes32) {
        bytes32 owners = Format.nested(Format.signer(account, 1), 1, 1);
        return Format.image(Format.pair(owners, Format.signer(guardian, 1)), 2, 0, address(0));
    }

    /// @dev The wallet of any tree, deployed.
    function walletOf(bytes32 root, uint256 threshold) internal returns (IWallet) {
        return IWallet(factory.deploy(stage1, Format.image(root, threshold, 0, address(0))));
    }

    // ─── Signing ────────────────────────────────────────────────────────────────────────────────────

    /// @dev A signed leaf of weight 1.
    function signed(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return bytes.concat(hex"01", Format.compact(v, r, s));
    }

    /// @dev An unsigned leaf of weight 1.
    function shown(address account) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"11", account);
    }

    function signSingle(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        return bytes.concat(Format.head(1), signed(key, hash));
    }

    function signGuarded(bytes32 hash) internal pure returns (bytes memory) {
        return bytes.concat(Format.head(2), Format.nestedItem(1, 1, signed(OWNER, hash)), signed(GUARD, hash));
    }

    // ─── Payloads ───────────────────────────────────────────────────────────────────────────────────

    function call(address to, bytes memory data) internal pure returns (Call memory) {
        return Call(to, 0, data, 0, false, false, 1);
    }

    function list(Call memory only) internal pure returns (Call[] memory calls) {
        calls = new Call[](1);
        calls[0] = only;
    }

    function transfer(address to, uint256 amount) internal view returns (Call memory) {
        return call(address(token), abi.encodeCall(token.transfer, (to, amount)));
    }

    /// @dev A transfer of 100 tokens to 0x77, with the next nonce of space zero.
    function transferPayload(IWallet wallet) internal view returns (Decoded memory) {
        return Format.calls(list(transfer(address(0x77), 100)), 0, wallet.readNonce(0));
    }

    function hashOf(Decoded memory payload, IWallet wallet) internal view returns (bytes32) {
        return payload.hash(address(wallet), block.chainid);
    }

    /// @dev Executes with the single key.
    function executeSingle(Call[] memory calls) internal {
        Decoded memory payload = Format.calls(calls, 0, single.readNonce(0));
        single.execute(payload.pack(), signSingle(OWNER, hashOf(payload, single)));
    }

    // ─── Checks ─────────────────────────────────────────────────────────────────────────────────────

    function check(bool condition, string memory message) internal pure {
        require(condition, message);
    }

    function same(uint256 actual, uint256 expected, string memory what) internal pure {
        check(actual == expected, what);
    }

    function same(bytes32 actual, bytes32 expected, string memory what) internal pure {
        check(actual == expected, what);
    }

    function same(address actual, address expected, string memory what) internal pure {
        check(actual == expected, what);
    }

    function received() internal view returns (uint256) {
        return token.balanceOf(address(0x77));
    }
}
