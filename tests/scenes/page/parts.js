// What the pages share: seeded random numbers, matt surfaces, the skin of the hand, the arm and
// how both are placed, and the finished picture.
import * as THREE from "three";

// A small, seeded generator (mulberry32), so that textures are the same every time.
export function randoms(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// A matt surface: base colour, soft blotches and fine grain along one direction. `cpu` paints it
// without the GPU, which, where it is software, takes many small strokes far more slowly.
export function surface(seed, rgb, { blotch, grain, streak, cpu = false }) {
  const size = 512;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: cpu });
  const random = randoms(seed);
  context.fillStyle = `rgb(${rgb.join(",")})`;
  context.fillRect(0, 0, size, size);
  for (let i = 0; i < 160; i++) {
    const [x, y, r] = [random() * size, random() * size, 20 + random() * 90];
    const tone = random() < 0.5 ? 0 : 255;
    const spot = context.createRadialGradient(x, y, 0, x, y, r);
    spot.addColorStop(0, `rgba(${tone},${tone},${tone},${blotch})`);
    spot.addColorStop(1, `rgba(${tone},${tone},${tone},0)`);
    context.fillStyle = spot;
    context.fillRect(0, 0, size, size);
  }
  for (let i = 0; i < 9000; i++) {
    const tone = random() < 0.5 ? 0 : 255;
    context.fillStyle = `rgba(${tone},${tone},${tone},${grain * random()})`;
    context.fillRect(random() * size, random() * size, 1 + random() * streak, 1);
  }
  const texture = new THREE.CanvasTexture(canvas);
  texture.colorSpace = THREE.SRGBColorSpace;
  texture.wrapS = texture.wrapT = THREE.RepeatWrapping;
  texture.anisotropy = 8;
  return texture;
}

// Skin: warmer at the fingertips and knuckles, as blood shows through.
export function skin(gltf) {
  const mesh = gltf.scene.getObjectByProperty("type", "SkinnedMesh");
  const { skeleton, geometry } = mesh;
  const warm = skeleton.bones.map((bone) => (/tip|distal|intermediate/.test(bone.name) ? 1 : 0));
  const { skinIndex, skinWeight, position } = geometry.attributes;
  const random = randoms(7);
  const colours = new Float32Array(position.count * 3);
  for (let i = 0; i < position.count; i++) {
    let heat = 0;
    for (let k = 0; k < 4; k++) heat += warm[skinIndex.getComponent(i, k)] * skinWeight.getComponent(i, k);
    const tone = 0.96 + 0.08 * random();
    colours.set([tone, tone * (1 - 0.09 * heat), tone * (1 - 0.12 * heat)], 3 * i);
  }
  geometry.setAttribute("color", new THREE.BufferAttribute(colours, 3));
  mesh.material = new THREE.MeshStandardMaterial({ color: 0xd8a184, roughness: 0.62, vertexColors: true });
  mesh.castShadow = mesh.receiveShadow = true;
  mesh.frustumCulled = false;
  gltf.scene.traverse((node) => {
    node.matrixAutoUpdate = node.matrixWorldAutoUpdate = false;
  });
  return { group: gltf.scene, mesh, bones: skeleton.bones };
}

// Forearm and sleeve, behind the wrist (+z of the wrist joint).
export function arm() {
  const group = new THREE.Group();
  const limb = (r0, r1, from, to, material) => {
    const mesh = new THREE.Mesh(new THREE.CylinderGeometry(r1, r0, to - from, 32), material);
    mesh.rotation.x = Math.PI / 2;
    mesh.position.z = (from + to) / 2;
    mesh.scale.z = 0.78;
    mesh.castShadow = mesh.receiveShadow = true;
    group.add(mesh);
  };
  limb(0.027, 0.031, -0.02, 0.09, new THREE.MeshStandardMaterial({ color: 0xd8a184, roughness: 0.62 }));
  limb(0.043, 0.054, 0.075, 0.5, new THREE.MeshStandardMaterial({ color: 0x2c3a55, roughness: 0.95 }));
  group.matrixAutoUpdate = false;
  return group;
}

// Place hand and arm; without bones there are none.
export function placeHand(hand, sleeve, bones) {
  hand.group.visible = sleeve.visible = bones !== null;
  if (bones !== null) {
    hand.bones.forEach((bone, i) => bone.matrixWorld.set(...bones[i]));
    const wrist = hand.bones.findIndex((bone) => bone.name === "wrist");
    sleeve.matrix.set(...bones[wrist]);
    sleeve.matrixWorldNeedsUpdate = true;
  }
}

// A finished picture as a data URL.
export async function png(picture) {
  const blob = await picture.convertToBlob({ type: "image/png" });
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
}
