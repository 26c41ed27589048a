// node export.mjs URL|FILE ROOT: every file of the DAG at ROOT that is in a CAR, as lines of JSON: path, size, sha256.
// The CAR's own roots are not looked at. Each block is hashed here; what is missing or wrong ends this with exit code 1.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { CarBlockIterator } from '@ipld/car/iterator'
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'

const [source, root] = process.argv.slice(2)
const SHA2_256 = 0x12

async function * bytes () {
  if (!source.startsWith('http')) {
    yield * createReadStream(source)
    return
  }
  const response = await fetch(source, { headers: { accept: 'application/vnd.ipld.car; version=1; order=dfs; dups=n' } })
  if (response.status !== 200) {
    throw new Error(`status ${response.status}`)
  }
  yield * response.body
}

const blocks = new Map()
for await (const { cid, bytes: block } of await CarBlockIterator.fromIterable(bytes())) {
  const digest = createHash('sha256').update(block).digest()
  if (cid.multihash.code !== SHA2_256 || digest.compare(cid.multihash.digest) !== 0) {
    throw new Error(`${cid}: other bytes came`)
  }
  blocks.set(cid.toString(), block)
}

const store = {
  async * get (cid) {
    if (!blocks.has(cid.toString())) {
      throw new Error(`${cid}: it did not come`)
    }
    yield blocks.get(cid.toString())
  }
}

async function show (cid, path) {
  const node = await exporter(cid, store)
  if (node.type === 'directory') {
    for await (const entry of node.entries()) {
      await show(entry.cid, path ? `${path}/${entry.name}` : entry.name)
    }
    return
  }
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of node.content()) {
    hash.update(piece)
    size += piece.length
  }
  console.log(JSON.stringify({ path, size, sha256: hash.digest('hex') }))
}

await show(CID.parse(root), '')
