// The scene. `setUp(stage)` builds it, `draw(frame)` renders one frame and returns a PNG data URL.
//   stage: {camera: {width, height, K, T_base_cam}, table: {x_m, y_m}, things: [{name, paint,
//           size_m, position_base_m, yaw_rad}], seed}
//   frame: {bones: 25 x 16 (row-major poses of the hand's joints in the base frame) or null}
// Units are metres in the robot's base frame, z up. Nothing here depends on time or on the machine.
import * as THREE from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { arm, placeHand, png, skin, surface } from "/page/parts.js";
import { build } from "/page/things.js";

const HAND = "/node_modules/@webxr-input-profiles/assets/dist/profiles/generic-hand/right.glb";
const OVERSAMPLE = 2;

let renderer, scene, camera, hand, sleeve, picture, pencil;

function furniture(table, seed) {
  const [x0, x1] = table.x_m;
  const [y0, y1] = table.y_m;
  const top = new THREE.Mesh(
    new THREE.BoxGeometry(x1 - x0, y1 - y0, 0.03),
    new THREE.MeshStandardMaterial({
      map: surface(seed, [168, 166, 160], { blotch: 0.03, grain: 0.05, streak: 14 }),
      roughness: 0.9,
    }),
  );
  top.position.set((x0 + x1) / 2, (y0 + y1) / 2, -0.015);
  top.receiveShadow = true;
  const floorMap = surface(seed + 1, [74, 72, 74], { blotch: 0.012, grain: 0.05, streak: 3 });
  floorMap.repeat.set(6, 6);
  const floor = new THREE.Mesh(
    new THREE.PlaneGeometry(8, 8),
    new THREE.MeshStandardMaterial({ map: floorMap, roughness: 1 }),
  );
  floor.position.set(2, 0, -0.75);
  floor.receiveShadow = true;
  scene.add(top, floor);
}

function lights() {
  scene.add(new THREE.HemisphereLight(0xf4f7ff, 0x8a8378, 1.5));
  const sun = new THREE.DirectionalLight(0xfff1de, 2.0);
  sun.position.set(0.1, 0.55, 1.5);
  sun.target.position.set(0.55, 0, 0);
  sun.castShadow = true;
  sun.shadow.mapSize.set(2048, 2048);
  sun.shadow.radius = 5;
  sun.shadow.bias = -0.0005;
  sun.shadow.normalBias = 0.004;
  Object.assign(sun.shadow.camera, { left: -0.9, right: 0.9, top: 0.9, bottom: -0.9, near: 0.5, far: 3 });
  const fill = new THREE.DirectionalLight(0xdfe8ff, 0.5);
  fill.position.set(-0.6, -0.9, 1.2);
  scene.add(sun, sun.target, fill);
}

window.setUp = async (stage) => {
  const { width, height, K, T_base_cam } = stage.camera;
  scene = new THREE.Scene();
  scene.background = new THREE.Color(0x30333a);
  renderer ??= new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
  renderer.setSize(width * OVERSAMPLE, height * OVERSAMPLE, false);
  renderer.shadowMap.enabled = true;
  renderer.shadowMap.type = THREE.PCFSoftShadowMap;
  renderer.toneMapping = THREE.NeutralToneMapping;

  // A symmetric frustum: the principal point is the picture's centre.
  camera = new THREE.PerspectiveCamera((2 * Math.atan(height / 2 / K[1][1]) * 180) / Math.PI, width / height, 0.02, 10);
  camera.matrixAutoUpdate = false;
  const flip = new THREE.Matrix4().makeScale(1, -1, -1); // OpenCV camera -> OpenGL camera
  camera.matrix.set(...T_base_cam.flat()).multiply(flip);
  camera.matrixWorldNeedsUpdate = true;

  furniture(stage.table, stage.seed);
  lights();
  for (const thing of stage.things) scene.add(build(thing));
  hand = skin(await new GLTFLoader().loadAsync(HAND));
  sleeve = arm();
  scene.add(hand.group, sleeve);

  picture = new OffscreenCanvas(width, height);
  pencil = picture.getContext("2d");
  pencil.imageSmoothingQuality = "high";
};

window.draw = async ({ bones }) => {
  placeHand(hand, sleeve, bones);
  renderer.render(scene, camera);
  pencil.drawImage(renderer.domElement, 0, 0, picture.width, picture.height);
  return png(picture);
};
