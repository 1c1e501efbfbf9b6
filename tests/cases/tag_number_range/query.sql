WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN (c0."value" >= CAST('-20.00' AS DECIMAL(4, 2)) AND c0."value" <= CAST('0.30' AS DECIMAL(2, 2))) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of spent" AS c0 ON c0.user_id = u."#user_id"
  WHERE (c0."value" >= CAST('-20.00' AS DECIMAL(4, 2)) AND c0."value" <= CAST('0.30' AS DECIMAL(2, 2)))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
