// A table with things on it. `setUp(stage)` builds it; `draw(frame)` renders one picture and returns
// a PNG data URL, a tab, and per thing, as JSON, [pixels in sight, pixels if it stood alone, and
// its box then: left, top, width, height].
//   stage: {camera: {width, height, K, T_base_cam}, table: {x_m, y_m, cover}, floor: cover, sun: {from,
//           colour, intensity, blur}, sky: {colour, intensity}, clutter: [{place, size, paint}],
//           things: [parts], skin, sleeve}; see wares.js for covers and parts
//   frame: {poses: [[x, y, z, yaw]] of the things, bones: 25 x 16 joint poses or null}
// Units are metres in the robot's base frame, z up.
import * as THREE from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { arm, placeHand, png, skin } from "/page/parts.js";
import { cover, ware } from "/page/wares.js";

const HAND = "/node_modules/@webxr-input-profiles/assets/dist/profiles/generic-hand/right.glb";
const OVERSAMPLE = 2;

let renderer, scene, camera, hand, sleeve, picture, pencil, things, target, bytes, alone;
const flats = [];

// A material of which a rendered pixel's red is a number, without light.
function flat(number) {
  flats[number] ??= new THREE.MeshBasicMaterial({ side: THREE.DoubleSide });
  flats[number].color.setRGB(number / 255, 0, 0, THREE.LinearSRGBColorSpace);
  return flats[number];
}

function furniture({ table, floor, clutter }) {
  const [x0, x1] = table.x_m;
  const [y0, y1] = table.y_m;
  const top = new THREE.Mesh(
    new THREE.BoxGeometry(x1 - x0, y1 - y0, 0.03),
    new THREE.MeshStandardMaterial({ map: cover(table.cover), roughness: 0.85 }),
  );
  top.position.set((x0 + x1) / 2, (y0 + y1) / 2, -0.015);
  const ground = new THREE.Mesh(
    new THREE.PlaneGeometry(8, 8),
    new THREE.MeshStandardMaterial({ map: cover(floor), roughness: 1 }),
  );
  ground.position.set(1.5, 0, -0.75);
  top.receiveShadow = ground.receiveShadow = true;
  scene.add(top, ground);
  for (const { place, size, paint } of clutter) {
    const material = new THREE.MeshStandardMaterial({ color: paint, roughness: 0.8 });
    const mesh = new THREE.Mesh(new THREE.BoxGeometry(...size), material);
    mesh.position.set(...place);
    mesh.castShadow = mesh.receiveShadow = true;
    scene.add(mesh);
  }
}

function lights({ sun: lamp, sky }) {
  scene.add(new THREE.HemisphereLight(sky.colour, 0x8a8378, sky.intensity));
  const sun = new THREE.DirectionalLight(lamp.colour, lamp.intensity);
  sun.target.position.set(0.5, 0, 0);
  sun.position.copy(sun.target.position).addScaledVector(new THREE.Vector3(...lamp.from), 1.6);
  sun.castShadow = true;
  sun.shadow.mapSize.set(2048, 2048);
  sun.shadow.radius = lamp.blur;
  sun.shadow.bias = -0.0005;
  sun.shadow.normalBias = 0.004;
  Object.assign(sun.shadow.camera, { left: -0.9, right: 0.9, top: 0.9, bottom: -0.9, near: 0.1, far: 3.5 });
  scene.add(sun, sun.target);
}

// Frees what a scene holds, but for its materials: their shaders would be compiled anew each time.
function discard(old) {
  old.traverse((node) => {
    node.geometry?.dispose();
    node.material?.map?.dispose();
    node.shadow?.map?.dispose();
  });
}

window.setUp = async (stage) => {
  if (scene) discard(scene);
  const { width, height, K, T_base_cam } = stage.camera;
  scene = new THREE.Scene();
  scene.background = new THREE.Color(stage.backdrop);
  renderer ??= new THREE.WebGLRenderer({ antialias: false, preserveDrawingBuffer: true });
  renderer.setSize(width * OVERSAMPLE, height * OVERSAMPLE, false);
  renderer.shadowMap.enabled = true;
  renderer.toneMapping = THREE.NeutralToneMapping;
  // A symmetric frustum: the principal point is the picture's centre.
  camera = new THREE.PerspectiveCamera((2 * Math.atan(height / 2 / K[1][1]) * 180) / Math.PI, width / height, 0.02, 12);
  camera.matrixAutoUpdate = false;
  camera.matrix.set(...T_base_cam.flat()).multiply(new THREE.Matrix4().makeScale(1, -1, -1));
  camera.matrixWorldNeedsUpdate = true;

  furniture(stage);
  lights(stage);
  things = stage.things.map(ware);
  hand ??= skin(await new GLTFLoader().loadAsync(HAND));
  sleeve = arm();
  hand.mesh.material.color.set(stage.skin);
  sleeve.children[0].material.color.set(stage.skin);
  sleeve.children[1].material.color.set(stage.sleeve);
  scene.add(...things, hand.group, sleeve);

  picture = new OffscreenCanvas(width, height);
  pencil = picture.getContext("2d");
  pencil.imageSmoothingQuality = "high";
  target?.dispose();
  target = new THREE.WebGLRenderTarget(width, height);
  bytes = new Uint8Array(width * height * 4);
  alone = things.map(() => ({ pose: "", seen: [0, 0, 0, 0, 0] }));
};

// Draw everything flat, each thing in a colour of its own, and read the picture into `bytes`.
function identify(only) {
  const before = new Map();
  scene.traverse((node) => {
    if (node.isMesh) before.set(node, [node.material, node.visible]);
  });
  for (const node of before.keys()) {
    node.material = flat(0);
    if (only !== null) node.visible = false;
  }
  things.forEach((thing, i) => {
    for (const mesh of thing.children) {
      mesh.material = flat(i + 1);
      mesh.visible = only === null || only === i;
    }
  });
  const { background } = scene;
  scene.background = new THREE.Color(0);
  renderer.toneMapping = THREE.NoToneMapping;
  renderer.shadowMap.autoUpdate = false;
  renderer.setRenderTarget(target);
  renderer.render(scene, camera);
  renderer.readRenderTargetPixels(target, 0, 0, target.width, target.height, bytes);
  renderer.setRenderTarget(null);
  renderer.shadowMap.autoUpdate = true;
  renderer.toneMapping = THREE.NeutralToneMapping;
  scene.background = background;
  for (const [node, [material, visible]] of before) Object.assign(node, { material, visible });
}

// Pixels of a thing standing alone, and its box.
function outline(i) {
  identify(i);
  const { width, height } = target;
  let [count, left, top, right, bottom] = [0, width, height, -1, -1];
  for (let p = 0; p < width * height; p++) {
    if (bytes[4 * p] !== i + 1) continue;
    count++;
    const [x, y] = [p % width, height - 1 - Math.floor(p / width)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return count ? [count, left, top, right + 1 - left, bottom + 1 - top] : [0, 0, 0, 0, 0];
}

window.draw = async ({ poses, bones }) => {
  poses.forEach(([x, y, z, yaw], i) => {
    things[i].position.set(x, y, z);
    things[i].rotation.z = yaw;
  });
  placeHand(hand, sleeve, bones);
  renderer.render(scene, camera);
  pencil.drawImage(renderer.domElement, 0, 0, picture.width, picture.height);
  const url = await png(picture);

  poses.forEach((pose, i) => {
    if (alone[i].pose !== String(pose)) alone[i] = { pose: String(pose), seen: outline(i) };
  });
  identify(null);
  const counts = new Array(things.length + 1).fill(0);
  for (let p = 0; p < bytes.length; p += 4) counts[bytes[p]]++;
  return `${url}\t${JSON.stringify(alone.map(({ seen }, i) => [counts[i + 1], ...seen]))}`;
};
