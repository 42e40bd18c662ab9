// The package and its hash, for bench/: they are installed here.
export * from '@0xsequence/wallet-primitives'
export { Hash } from 'ox'
