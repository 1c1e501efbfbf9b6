WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."level" < 3 THEN 1 ELSE 0 END + CASE WHEN (u."level" >= 3 AND u."level" <= 9) THEN 2 ELSE 0 END + CASE WHEN u."level" > 9 THEN 4 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."level" < 3 OR (u."level" >= 3 AND u."level" <= 9) OR u."level" > 9
)
SELECT user_id, CASE WHEN (m0 & 1) <> 0 THEN 'low' WHEN (m0 & 2) <> 0 THEN 'middle' WHEN (m0 & 4) <> 0 THEN 'high' END AS value
FROM masks
WHERE ((m0 & 1) <> 0 OR (m0 & 2) <> 0 OR (m0 & 4) <> 0)
