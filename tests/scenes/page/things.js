// The things on the table, from simple geometry. `build({name, paint, size_m, position_base_m,
// yaw_rad})` returns a group whose body is centred on its position (base frame, z up, metres).
import * as THREE from "three";

const matt = (paint, roughness = 0.7, side = THREE.FrontSide) =>
  new THREE.MeshStandardMaterial({ color: paint, roughness, side });

// A solid of revolution about z from (radius, z) pairs, z measured from the table.
function lathe(profile, material) {
  const points = profile.map(([r, z]) => new THREE.Vector2(r, z));
  const mesh = new THREE.Mesh(new THREE.LatheGeometry(points, 64), material);
  mesh.rotation.x = Math.PI / 2;
  return mesh;
}

function cup(paint, [width, , height]) {
  const r = width / 2;
  const wall = 0.0035;
  const body = lathe(
    [[0, 0], [r * 0.78, 0], [r * 0.84, 0.003], [r, height], [r - wall, height], [r * 0.84 - wall, 0.006], [0, 0.006]],
    matt(paint, 0.45, THREE.DoubleSide),
  );
  const handle = new THREE.Mesh(new THREE.TorusGeometry(height * 0.28, 0.0055, 16, 48), matt(paint, 0.45));
  handle.rotation.x = Math.PI / 2;
  handle.position.set(r * 1.12, 0, height * 0.52);
  return [body, handle];
}

function bottle(paint, [width, , height]) {
  const r = width / 2;
  const glass = lathe(
    [[0, 0], [r * 0.95, 0], [r, 0.006], [r, height * 0.56], [r * 0.93, height * 0.63], [r * 0.5, height * 0.76],
     [r * 0.38, height * 0.82], [r * 0.38, height * 0.93], [0, height * 0.93]],
    matt(paint, 0.3),
  );
  const cap = lathe(
    [[0, height * 0.92], [r * 0.45, height * 0.92], [r * 0.45, height], [0, height]], matt("#e9e4d6", 0.6));
  const label = lathe([[r * 1.01, height * 0.2], [r * 1.01, height * 0.45]], matt("#e9e4d6", 0.8, THREE.DoubleSide));
  return [glass, cap, label];
}

function bowl(paint, [width, , height]) {
  const r = width / 2;
  const outer = [[0, 0], [r * 0.42, 0], [r * 0.45, 0.006]];
  const inner = [];
  for (let i = 1; i <= 10; i++) {
    const a = (i / 10) * (Math.PI / 2);
    outer.push([r * (0.45 + 0.55 * Math.sin(a)), 0.006 + (height - 0.006) * (1 - Math.cos(a))]);
    inner.unshift([(r - 0.005) * (0.45 + 0.55 * Math.sin(a)), 0.011 + (height - 0.011) * (1 - Math.cos(a))]);
  }
  return [lathe([...outer, ...inner, [0, 0.011]], matt(paint, 0.5, THREE.DoubleSide))];
}

function box(paint, [dx, dy, dz]) {
  const wall = 0.005;
  const card = matt(paint, 0.95);
  const slab = (sx, sy, sz, x, y, z) => {
    const mesh = new THREE.Mesh(new THREE.BoxGeometry(sx, sy, sz), card);
    mesh.position.set(x, y, z);
    return mesh;
  };
  return [
    slab(dx, dy, wall, 0, 0, wall / 2),
    slab(wall, dy, dz, (dx - wall) / 2, 0, dz / 2),
    slab(wall, dy, dz, -(dx - wall) / 2, 0, dz / 2),
    slab(dx, wall, dz, 0, (dy - wall) / 2, dz / 2),
    slab(dx, wall, dz, 0, -(dy - wall) / 2, dz / 2),
  ];
}

function ball(paint, [width]) {
  const sphere = new THREE.Mesh(new THREE.SphereGeometry(width / 2, 48, 32), matt(paint, 0.55));
  sphere.position.z = width / 2;
  return [sphere];
}

function block(paint, [dx, dy, dz]) {
  const cube = new THREE.Mesh(new THREE.BoxGeometry(dx, dy, dz), matt(paint, 0.75));
  cube.position.z = dz / 2;
  return [cube];
}

const BUILDERS = { cup, bottle, bowl, box, ball, block };

export function build({ name, paint, size_m, position_base_m, yaw_rad }) {
  const group = new THREE.Group();
  group.add(...BUILDERS[name](paint, size_m));
  const [x, y, z] = position_base_m;
  group.position.set(x, y, z - size_m[2] / 2);
  group.rotation.z = yaw_rad;
  group.traverse((node) => {
    node.castShadow = node.receiveShadow = true;
  });
  return group;
}
